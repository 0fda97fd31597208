import type {
  CertificateFacts,
  CertificateReads,
  CertificateWrites,
  IssuedCertificate,
  Reservation,
} from '../../ca/ports.ts';
import { equalBytes, toBase64, toHex } from '../../core/bytes.ts';
import type { Connection } from './connection.ts';
import { later } from './later.ts';
import type { RecordAct } from './record/frame.ts';
import { type CertificateRow, type DevicesTable, FACTS, toCertificate } from './rows.ts';
import { certificateScan } from './scan-certificates.ts';

export function certificateReads(connection: Connection): CertificateReads {
  const { db, call } = connection;
  const withSignature = 'SELECT c.*, s.signature FROM certificates c LEFT JOIN signatures s ON s.id = c.id';
  const bySerial = db.prepare<[Uint8Array], CertificateRow>(`${withSignature} WHERE c.serial = +?`);
  const issued = db
    .prepare<[string], readonly [place: number, id: number, authority: string, deviceId: number | null]>(
      `SELECT j.key, c.id, c.authority, c.device_id FROM json_each(?) j CROSS JOIN certificates c ON c.serial = unhex(j.value)
       WHERE EXISTS (SELECT 1 FROM signatures s WHERE s.id = c.id)`,
    )
    .raw();
  const byDevice = db.prepare<[number], CertificateRow>(`${withSignature} WHERE c.device_id = +?`);
  const factsByDevice = db.prepare<[string], CertificateFacts>(
    `SELECT ${FACTS} FROM json_each(?) j CROSS JOIN certificates c ON c.device_id = j.value ORDER BY c.id`,
  );
  const byServiceKey = db.prepare<[Uint8Array], CertificateRow>(
    `${withSignature} WHERE c.key_hash = +? AND c.device_id IS NULL`,
  );
  const keyOwner = db
    .prepare<[Uint8Array], number | null>('SELECT device_id FROM keys WHERE key_hash = ?')
    .pluck();
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
    findIssued: (serials) =>
      call(() => {
        const found: (IssuedCertificate | undefined)[] = serials.map(() => undefined);
        for (const [place, id, authority, deviceId] of issued.all(JSON.stringify(serials.map(toHex))))
          found[place] = { id, authority, deviceId };
        return found;
      }),
    findByDevices: (deviceIds) =>
      call(() => {
        const rows = [...new Set(deviceIds)].flatMap((deviceId) => byDevice.all(deviceId));
        return rows.sort((a, b) => a.id - b.id).map(toCertificate);
      }),
    findFactsByDevices: (deviceIds) => call(() => factsByDevice.all(JSON.stringify([...new Set(deviceIds)]))),
    findByKey: (keyHash) =>
      call(() => {
        const owner = keyOwner.get(keyHash) ?? undefined;
        const rows = owner === undefined ? byServiceKey.all(keyHash) : byDevice.all(owner);
        return rows
          .filter(({ key_hash }) => equalBytes(key_hash, keyHash))
          .sort((a, b) => a.id - b.id)
          .map(toCertificate);
      }),
    scanCertificates: certificateScan(connection),
    findReserved: (limit) => call(() => reserved.all(limit).map(toCertificate)),
    searchCertificates: later(async () => {
      const { certificateSearch } = await import('./search-certificates.ts');
      return certificateSearch(connection);
    }),
    latestReservation: () => call(() => latest.get() ?? 0),
  };
}

export function certificateWrites({
  db,
  call,
  note,
}: Connection): Omit<CertificateWrites, keyof CertificateReads> {
  const reserve = db.prepare<unknown[]>(
    `INSERT INTO certificates (serial, authority, device_id, profile, key_hash, not_before, not_after, shard,
       vouched_by, holder, reserved_at, tbs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addPending = db.prepare<[number, number]>(
    'INSERT INTO pending (id) SELECT id FROM certificates WHERE id BETWEEN ? AND ?',
  );
  const setLatest = db.prepare<[number, number]>('UPDATE latest_reservation SET at = ? WHERE at < ?');
  const sign = db.prepare<[number, Uint8Array]>(
    'INSERT OR IGNORE INTO signatures (id, signature) VALUES (?, ?)',
  );
  const signatureOf = db
    .prepare<[number], Uint8Array>('SELECT signature FROM signatures WHERE id = ?')
    .pluck();
  const deviceOf = db.prepare<[number], DevicesTable>('SELECT * FROM devices WHERE id = ?');
  const dropPending = db.prepare<[number, number]>('DELETE FROM pending WHERE id BETWEEN ? AND ?');

  return {
    reserve: (reservations) =>
      call(() => {
        if (reservations.length === 0) return [];
        let latest = 0;
        const ids = reservations.map((r) => {
          latest = Math.max(latest, r.reservedAt);
          const place = [r.serial, r.authority, r.deviceId, r.profile, r.keyHash] as const;
          const times = [r.notBefore, r.notAfter, r.shard] as const;
          const { lastInsertRowid } = reserve.run(
            ...place,
            ...times,
            r.vouchedBy,
            r.holder,
            r.reservedAt,
            r.tbs,
          );
          note(toAct(r, r.deviceId === null ? undefined : deviceOf.get(r.deviceId)));
          return Number(lastInsertRowid);
        });
        // Nobody else adds any meanwhile: the ids are a run without a gap.
        addPending.run(ids[0] ?? 0, ids.at(-1) ?? 0);
        setLatest.run(latest, latest);
        return ids;
      }),
    commit: (signed) =>
      call(() => {
        const kept = signed.map(({ id, signature }) =>
          sign.run(id, signature).changes > 0 ? signature : (signatureOf.get(id) ?? signature),
        );
        for (const [first, last] of runsOf(signed.map(({ id }) => id))) dropPending.run(first, last);
        return kept;
      }),
  };
}

/** What it takes to reserve it again, and to know its device again. */
function toAct(r: Reservation, device: DevicesTable | undefined): RecordAct {
  return {
    act: 'reserve',
    serial: toHex(r.serial),
    authority: r.authority,
    profile: r.profile,
    keyHash: toHex(r.keyHash),
    notBefore: r.notBefore,
    notAfter: r.notAfter,
    shard: r.shard,
    vouchedBy: r.vouchedBy,
    holder: r.holder,
    reservedAt: r.reservedAt,
    ...(device && {
      device: {
        namespace: device.namespace,
        serialNumber: device.serial_number,
        ...(device.model === null ? {} : { model: device.model }),
        ...(device.batch === null ? {} : { batch: device.batch }),
        ...(device.hw_type === null ? {} : { hwType: device.hw_type }),
        ...(device.hw_serial_num === null ? {} : { hwSerialNum: toHex(device.hw_serial_num) }),
        state: device.state,
        createdAt: device.created_at,
        rebirthAllowed: device.rebirth_allowed === 1,
      },
    }),
    tbs: toBase64(r.tbs),
  };
}

/** The first and the last of each run of ids that follow each other: what was reserved together is one. */
function runsOf(ids: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run && run[1] + 1 === id) run[1] = id;
    else runs.push([id, id]);
  }
  return runs;
}
