import { BirthmarkError } from '../../core/errors.ts';
import type { Rotation, RotationCounts, RotationReads, RotationWrites } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';

interface RotationRow extends Omit<Rotation, 'usedAt' | 'endedAt'> {
  readonly usedAt: number | null;
  readonly endedAt: number | null;
}

const COLUMNS = `t.id, t.device_id AS deviceId, t.old_id AS oldId, t.new_id AS newId, t.state, t.begun_at AS begunAt,
  t.used_at AS usedAt, t.due_at AS dueAt, t.ended_at AS endedAt`;

export function rotationReads({ db, call }: Connection): RotationReads {
  const ofDevices = db.prepare<[string], RotationRow>(
    `SELECT ${COLUMNS} FROM json_each(?) j CROSS JOIN rotations t ON t.device_id = j.value ORDER BY t.id`,
  );
  const withCertificates = db.prepare<[string, string], RotationRow>(
    `SELECT ${COLUMNS} FROM json_each(?) j CROSS JOIN rotations t ON t.old_id = j.value
     UNION SELECT ${COLUMNS} FROM json_each(?) j CROSS JOIN rotations t ON t.new_id = j.value ORDER BY 1`,
  );
  const due = db.prepare<[number, number], RotationRow>(
    `SELECT ${COLUMNS} FROM rotations t WHERE t.ended_at IS NULL AND t.due_at <= ? ORDER BY t.due_at LIMIT ?`,
  );
  const count = db.prepare<[], RotationCounts>(
    `SELECT (SELECT count(*) FROM rotations WHERE ended_at IS NULL AND used_at IS NULL) AS open,
       (SELECT count(*) FROM rotations WHERE ended_at IS NULL AND used_at IS NOT NULL) AS used,
       (SELECT count(*) FROM rotations WHERE state = 'conflict') AS conflict`,
  );
  return {
    findRotationsOf: (deviceIds) => call(() => ofDevices.all(JSON.stringify(deviceIds)).map(toRotation)),
    findRotationsWith: (certificateIds) =>
      call(() => {
        const ids = JSON.stringify(certificateIds);
        return withCertificates.all(ids, ids).map(toRotation);
      }),
    listDueRotations: (at, limit) => call(() => due.all(at, limit).map(toRotation)),
    countRotations: () => call(() => count.get() ?? { open: 0, used: 0, conflict: 0 }),
  };
}

export function rotationWrites({ db, call, note }: Connection): Omit<RotationWrites, keyof RotationReads> {
  const add = db.prepare<unknown[]>(
    `INSERT INTO rotations (device_id, old_id, new_id, state, begun_at, due_at) VALUES (?, ?, ?, 'open', ?, ?)`,
  );
  const serialsOf = db
    .prepare<[string], readonly [id: number, serial: string]>(
      'SELECT c.id, lower(hex(c.serial)) FROM json_each(?) j CROSS JOIN certificates c ON c.id = j.value',
    )
    .raw();
  const use = db.prepare<[number, number, string]>(
    `UPDATE rotations SET state = 'used', used_at = ?, due_at = ?
     WHERE state = 'open' AND id IN (SELECT value FROM json_each(?))`,
  );
  const end = db.prepare<[string, number, string]>(
    'UPDATE rotations SET state = ?, ended_at = ? WHERE id IN (SELECT value FROM json_each(?))',
  );
  const postpone = db.prepare<[number, string]>(
    `UPDATE rotations SET due_at = ? WHERE state = 'used' AND id IN (SELECT value FROM json_each(?))`,
  );
  const endBroken = db.prepare<[number, string]>(
    `UPDATE rotations SET state = 'ended', ended_at = ?
     WHERE device_id IN (SELECT value FROM json_each(?)) AND ended_at IS NULL
       AND EXISTS (SELECT 1 FROM revocations r WHERE r.id IN (rotations.old_id, rotations.new_id) AND r.held = 0)`,
  );
  return {
    addRotations: (rotations) =>
      call(() => {
        const ids = rotations.flatMap(({ oldId, newId }) => [oldId, newId]);
        const serials = new Map(serialsOf.all(JSON.stringify(ids)));
        for (const { deviceId, oldId, newId, begunAt, dueAt } of rotations) {
          const [old, fresh] = [serials.get(oldId), serials.get(newId)];
          if (old === undefined || fresh === undefined)
            throw new BirthmarkError('ledger-failed', 'a rotation names a certificate that is not there');
          add.run(deviceId, oldId, newId, begunAt, dueAt);
          note({ act: 'rotate', old, new: fresh, at: begunAt });
        }
      }),
    noteRotationsUsed: (ids, usedAt, dueAt) =>
      call(() => {
        use.run(usedAt, dueAt, JSON.stringify(ids));
      }),
    postponeRotations: (ids, dueAt) =>
      call(() => {
        postpone.run(dueAt, JSON.stringify(ids));
      }),
    endRotations: (ids, state, at) =>
      call(() => {
        end.run(state, at, JSON.stringify(ids));
      }),
    endBrokenRotations: (deviceIds, at) =>
      call(() => {
        endBroken.run(at, JSON.stringify(deviceIds));
      }),
  };
}

function toRotation({ usedAt, endedAt, ...row }: RotationRow): Rotation {
  return {
    ...row,
    ...(usedAt === null ? {} : { usedAt }),
    ...(endedAt === null ? {} : { endedAt }),
  };
}
