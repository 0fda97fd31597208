import { BirthmarkError } from '../../core/errors.ts';
import type {
  Finding,
  FindingCount,
  HygieneReads,
  HygieneScan,
  HygieneWrites,
} from '../../fleet/hygiene/ports.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';

type ScanRow = Omit<HygieneScan, 'endedAt' | 'primes'> & {
  readonly endedAt: number | null;
  readonly primes: string | null;
};

const SCAN = `id, tests, started_at AS startedAt, started_by AS startedBy, through, last_device AS lastDevice, devices,
  certificates, rsa_keys AS rsaKeys, ended_at AS endedAt, primes`;

export function hygieneReads({ db, call }: Connection): HygieneReads {
  const latest = db.prepare<[], ScanRow>(`SELECT ${SCAN} FROM hygiene_scans ORDER BY id DESC LIMIT 1`);
  const newest = db.prepare<[], number | null>('SELECT max(id) FROM devices').pluck();
  const count = db.prepare<[], FindingCount>(
    `SELECT kind, count(*) AS certificates, count(DISTINCT device_id) AS devices FROM hygiene_findings
     GROUP BY kind ORDER BY kind`,
  );
  const list = db.prepare<[string, number, number], Finding>(
    `SELECT kind, certificate_id AS certificateId, device_id AS deviceId, detail, found_at AS foundAt FROM hygiene_findings
     WHERE kind = ? AND certificate_id > ? ORDER BY certificate_id LIMIT ?`,
  );
  return {
    latestScan: () =>
      call(() => {
        const row = latest.get();
        return row && toScan(row);
      }),
    newestDevice: () => call(() => newest.get() ?? 0),
    countFindings: () => call(() => count.all()),
    listFindings: (kind, page) =>
      call(() => {
        const rows = list.all(kind, parseIdCursor('findings', page) ?? 0, page.limit + 1);
        return toPage(
          rows,
          page.limit,
          (row) => row,
          ({ certificateId }) => encodeCursor('findings', certificateId),
        );
      }),
  };
}

export function hygieneWrites({ db, call }: Connection): Omit<HygieneWrites, keyof HygieneReads> {
  const add = db.prepare<unknown[], ScanRow>(
    `INSERT INTO hygiene_scans (tests, started_at, started_by, through, last_device, devices, certificates, rsa_keys)
     VALUES (?, ?, ?, 0, ?, 0, 0, 0) RETURNING ${SCAN}`,
  );
  const move = db.prepare<unknown[]>(
    `UPDATE hygiene_scans SET through = coalesce(?, through), devices = coalesce(?, devices),
       certificates = coalesce(?, certificates), rsa_keys = coalesce(?, rsa_keys), ended_at = coalesce(?, ended_at),
       primes = coalesce(?, primes) WHERE id = ?`,
  );
  const drop = db.prepare<[number]>('DELETE FROM hygiene_findings WHERE device_id = ?');
  const put = db.prepare<[string, number, number, string, number]>(
    `INSERT OR REPLACE INTO hygiene_findings (kind, certificate_id, device_id, detail, found_at) VALUES (?, ?, ?, ?, ?)`,
  );
  return {
    addScan: ({ tests, startedAt, startedBy, lastDevice }) =>
      call(() => {
        const row = add.get(tests, startedAt, startedBy, lastDevice);
        if (!row) throw new BirthmarkError('ledger-failed', 'a scan was not written');
        return toScan(row);
      }),
    moveScan: (id, { through, devices, certificates, rsaKeys, endedAt, primes }) =>
      call(() => {
        const values = [through, devices, certificates, rsaKeys, endedAt, primes];
        move.run(...values.map((value) => value ?? null), id);
      }),
    dropFindings: (deviceIds) =>
      call(() => {
        for (const id of deviceIds) drop.run(id);
      }),
    addFindings: (findings) =>
      call(() => {
        for (const { kind, certificateId, deviceId, detail, foundAt } of findings)
          put.run(kind, certificateId, deviceId, detail, foundAt);
      }),
  };
}

function toScan({ endedAt, primes, ...scan }: ScanRow): HygieneScan {
  return { ...scan, ...(endedAt === null ? {} : { endedAt }), ...(primes === null ? {} : { primes }) };
}
