import { toHex } from '../../core/bytes.ts';
import type { TrustedCa, TrustReads, TrustWrites } from '../../enroll/ports.ts';
import type { Connection } from './connection.ts';

interface TrustedCaRow extends Omit<TrustedCa, 'serialPattern'> {
  readonly serialPattern: string | null;
}

export function trustReads({ db, call }: Connection): TrustReads {
  const list = db.prepare<[], TrustedCaRow>(
    `SELECT namespace, certificate, fingerprint, serial_pattern AS serialPattern, validity, added_at AS addedAt,
       added_by AS addedBy FROM trusted_cas ORDER BY id`,
  );
  const version = db.prepare<[], number>('SELECT version FROM trust_version').pluck();
  return {
    listTrustedCas: () => call(() => list.all().map(toTrustedCa)),
    trustVersion: () => call(() => version.get() ?? 0),
  };
}

export function trustWrites({ db, call, note }: Connection): Omit<TrustWrites, keyof TrustReads> {
  const add = db.prepare<unknown[]>(
    `INSERT INTO trusted_cas (namespace, certificate, fingerprint, serial_pattern, validity, added_at, added_by)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const remove = db.prepare<[Uint8Array]>('DELETE FROM trusted_cas WHERE fingerprint = ?');
  const grow = db.prepare<[]>('UPDATE trust_version SET version = version + 1');
  return {
    addTrustedCa: (ca) =>
      call(() => {
        const { namespace, certificate, fingerprint, serialPattern = null, validity, addedAt, addedBy } = ca;
        add.run(namespace, certificate, fingerprint, serialPattern, validity, addedAt, addedBy);
        grow.run();
      }),
    removeTrustedCa: (fingerprint) =>
      call(() => {
        const removed = remove.run(fingerprint).changes > 0;
        if (removed) {
          grow.run();
          note({ act: 'removeTrustedCa', fingerprint: toHex(fingerprint) });
        }
        return removed;
      }),
  };
}

function toTrustedCa({ serialPattern, ...row }: TrustedCaRow): TrustedCa {
  return serialPattern === null ? row : { ...row, serialPattern };
}
