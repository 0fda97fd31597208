import type { Database } from 'better-sqlite3';
import type { CertificateHolder } from '../../ca/revocation/ports.ts';
import { toHex } from '../../core/bytes.ts';

type HolderColumns = readonly [place: number, namespace: string, serialNumber: string, others: number];

/** Finds the devices that certificates are for, all of them in one statement; see `RevocationReads.findHolders`. */
export function holderSearch(
  db: Database,
): (serials: readonly Uint8Array[], at: number) => readonly (CertificateHolder | undefined)[] {
  const find = db
    .prepare<[number, string], HolderColumns>(
      `SELECT j.key, d.namespace, d.serial_number, EXISTS (
         SELECT 1 FROM certificates o WHERE o.device_id = c.device_id AND o.authority = c.authority AND o.id <> c.id
           AND o.not_after >= ? AND EXISTS (SELECT 1 FROM signatures s WHERE s.id = o.id)
           AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.id = o.id)
       ) FROM json_each(?) j CROSS JOIN certificates c ON c.serial = unhex(j.value) CROSS JOIN devices d ON d.id = c.device_id`,
    )
    .raw();
  return (serials, at) => {
    const found: (CertificateHolder | undefined)[] = serials.map(() => undefined);
    for (const [place, namespace, serialNumber, others] of find.all(at, JSON.stringify(serials.map(toHex))))
      found[place] = { namespace, serialNumber, others: others === 1 };
    return found;
  };
}
