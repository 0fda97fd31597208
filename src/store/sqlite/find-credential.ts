import type { CredentialFacts, DeviceReads } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';
import { type CertificateRow, toCertificate } from './rows.ts';

interface CredentialRow extends CertificateRow {
  readonly namespace: string | null;
  readonly device_serial: string | null;
  readonly held: number | null;
  readonly blocked: string | null;
}

/** One statement, since to begin and end a transaction for each of four costs more than what they read. */
export function credentialSearch({ db, call }: Connection): Pick<DeviceReads, 'findCredential'> {
  const find = db.prepare<[Uint8Array], CredentialRow>(
    `SELECT c.*, s.signature, d.namespace, d.serial_number AS device_serial, r.held, k.blocked FROM certificates c
       LEFT JOIN signatures s ON s.id = c.id LEFT JOIN devices d ON d.id = c.device_id
       LEFT JOIN revocations r ON r.id = c.id LEFT JOIN keys k ON k.key_hash = c.key_hash
     WHERE c.serial = +?`,
  );
  return {
    findCredential: (serial) =>
      call(() => {
        const row = find.get(serial);
        return row && toFacts(row);
      }),
  };
}

function toFacts(row: CredentialRow): CredentialFacts {
  const { namespace, device_serial: serialNumber, held, blocked } = row;
  return {
    record: toCertificate(row),
    ...(namespace === null || serialNumber === null ? {} : { device: { namespace, serialNumber } }),
    ...(held === null ? {} : { takenBack: held === 1 ? 'held' : 'revoked' }),
    keyBlocked: blocked !== null,
  };
}
