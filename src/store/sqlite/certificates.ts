import type { CertificateReads, CertificateWrites } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';
import { type CertificateRow, toCertificate } from './rows.ts';
import { certificateSearch } from './search-certificates.ts';

export function certificateReads(connection: Connection): CertificateReads {
  const { db, call } = connection;
  const withSignature = 'SELECT c.*, s.signature FROM certificates c LEFT JOIN signatures s ON s.id = c.id';
  const bySerial = db.prepare<[Uint8Array], CertificateRow>(`${withSignature} WHERE c.serial = ?`);
  const byDevice = db.prepare<[number], CertificateRow>(`${withSignature} WHERE c.device_id = ?`);
  const reserved = db.prepare<[number], CertificateRow>(
    `SELECT c.*, NULL AS signature FROM pending p CROSS JOIN certificates c ON c.id = p.id ORDER BY p.id LIMIT ?`,
  );
  const latest = db.prepare<[], number>('SELECT at FROM latest_reservation').pluck();
  return {
    findBySerial: (serial) =>
      call(() => {
        const row = bySerial.get(serial);
        return row && toCertificate(row);
      }),
    findByDevices: (deviceIds) =>
      call(() => {
        const rows = [...new Set(deviceIds)].flatMap((deviceId) => byDevice.all(deviceId));
        return rows.sort((a, b) => a.id - b.id).map(toCertificate);
      }),
    findReserved: (limit) => call(() => reserved.all(limit).map(toCertificate)),
    searchCertificates: certificateSearch(connection),
    latestReservation: () => call(() => latest.get() ?? 0),
  };
}

export function certificateWrites({ db, call }: Connection): Omit<CertificateWrites, keyof CertificateReads> {
  const reserve = db.prepare<unknown[]>(
    `INSERT INTO certificates (serial, authority, device_id, profile, key_hash, not_before, not_after, shard,
       vouched_by, holder, reserved_at, tbs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addPending = db.prepare<[number | bigint]>('INSERT INTO pending (id) VALUES (?)');
  const setLatest = db.prepare<[number, number]>('UPDATE latest_reservation SET at = ? WHERE at < ?');
  const sign = db.prepare<[number, Uint8Array]>(
    'INSERT OR IGNORE INTO signatures (id, signature) VALUES (?, ?)',
  );
  const signatureOf = db
    .prepare<[number], Uint8Array>('SELECT signature FROM signatures WHERE id = ?')
    .pluck();
  const dropPending = db.prepare<[number]>('DELETE FROM pending WHERE id = ?');

  return {
    reserve: (reservations) =>
      call(() => {
        let latest = 0;
        const ids = reservations.map((r) => {
          latest = Math.max(latest, r.reservedAt);
          const { lastInsertRowid: id } = reserve.run(
            r.serial,
            r.authority,
            r.deviceId,
            r.profile,
            r.keyHash,
            r.notBefore,
            r.notAfter,
            r.shard,
            r.vouchedBy,
            r.holder,
            r.reservedAt,
            r.tbs,
          );
          addPending.run(id);
          return Number(id);
        });
        setLatest.run(latest, latest);
        return ids;
      }),
    commit: (signed) =>
      call(() =>
        signed.map(({ id, signature }) => {
          if (sign.run(id, signature).changes === 0) return signatureOf.get(id) ?? signature;
          dropPending.run(id);
          return signature;
        }),
      ),
  };
}
