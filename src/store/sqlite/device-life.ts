import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { DeviceReads, DeviceState, DeviceWrites, LifeFacts, Quarantine } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';

type Flags = 'seen' | 'ldevidCompromised' | 'idevidCompromised' | 'rotating';
type FactsRow = Omit<LifeFacts, Flags> & Readonly<Record<Flags, number>>;
type QuarantineRow = Omit<Quarantine, 'held'> & { readonly held: string };
type LifeReads = Pick<
  DeviceReads,
  'findLifeFacts' | 'listUnsettled' | 'findQuarantine' | 'countConflictQuarantines'
>;
type LifeWrites = Pick<
  DeviceWrites,
  'moveDevices' | 'noteSettled' | 'addQuarantine' | 'endQuarantine' | 'retireDevice' | 'killTickets'
>;

/** The states of devices, and what they are worked out from. */
export function deviceLifeReads({ db, call }: Connection): LifeReads {
  const facts = db.prepare<[{ ids: string; idevid: string; at: number }], FactsRow>(
    `SELECT d.id AS deviceId, d.namespace, d.serial_number AS serialNumber, d.state,
       total(c.ldevid AND c.now AND r.id IS NULL) AS liveLdevids,
       total(c.ldevid AND c.now AND r.held = 1) AS heldLdevids,
       total(c.ldevid AND c.now AND r.id IS NULL AND s.id IS NOT NULL) > 0 AS seen,
       total(c.ldevid AND r.reason = 'keyCompromise') > 0 AS ldevidCompromised,
       total(NOT c.ldevid AND c.now AND r.id IS NULL) AS liveIdevids,
       total(NOT c.ldevid AND c.now AND r.held = 1) AS heldIdevids,
       total(NOT c.ldevid AND r.reason = 'keyCompromise') > 0 AS idevidCompromised,
       EXISTS (
         SELECT 1 FROM rotations t JOIN certificates o ON o.id = t.old_id
         WHERE t.device_id = d.id AND t.ended_at IS NULL AND o.not_after > @at
           AND NOT EXISTS (SELECT 1 FROM revocations x WHERE x.id IN (t.old_id, t.new_id))
       ) AS rotating
     FROM json_each(@ids) j CROSS JOIN devices d ON d.id = j.value
     LEFT JOIN (
       SELECT id, device_id, not_after > @at AS now, profile NOT IN (SELECT value FROM json_each(@idevid)) AS ldevid
       FROM certificates WHERE device_id IS NOT NULL
     ) c ON c.device_id = d.id
     LEFT JOIN revocations r ON r.id = c.id LEFT JOIN sightings s ON s.id = c.id GROUP BY d.id`,
  );
  const unsettled = db
    .prepare<[number], number>('SELECT id FROM unsettled_devices ORDER BY id LIMIT ?')
    .pluck();
  const quarantine = db.prepare<[number], QuarantineRow>(
    'SELECT device_id AS deviceId, cause, since, ordered_by AS orderedBy, held FROM quarantines WHERE device_id = ?',
  );
  const conflicts = db
    .prepare<[string, number], number>(
      `SELECT count(*) FROM quarantines WHERE cause = 'conflict' AND ordered_by = ? AND since > ?`,
    )
    .pluck();
  return {
    findLifeFacts: (ids, idevidProfiles, at) =>
      call(() =>
        facts.all({ ids: JSON.stringify(ids), idevid: JSON.stringify([...idevidProfiles]), at }).map(toFacts),
      ),
    listUnsettled: (limit) => call(() => unsettled.all(limit)),
    countConflictQuarantines: (orderedBy, since) => call(() => conflicts.get(orderedBy, since) ?? 0),
    findQuarantine: (deviceId) =>
      call(() => {
        const row = quarantine.get(deviceId);
        return row && { ...row, held: readIds(row.held) };
      }),
  };
}

export function deviceLifeWrites({ db, call, note }: Connection): LifeWrites {
  const move = db.prepare<[string]>(
    `UPDATE devices SET state = m.value ->> 'to' FROM json_each(?) m WHERE devices.id = m.value ->> 'deviceId'`,
  );
  const settled = db.prepare<[string]>(
    'DELETE FROM unsettled_devices WHERE id IN (SELECT value FROM json_each(?))',
  );
  const find = db.prepare<[number], { readonly namespace: string; readonly serialNumber: string }>(
    'SELECT namespace, serial_number AS serialNumber FROM devices WHERE id = ?',
  );
  const setState = db.prepare<[DeviceState, number]>('UPDATE devices SET state = ? WHERE id = ?');
  const add = db.prepare<[number, string, number, string, string]>(
    'INSERT OR REPLACE INTO quarantines (device_id, cause, since, ordered_by, held) VALUES (?, ?, ?, ?, ?)',
  );
  const serialsOf = db
    .prepare<[string], Uint8Array>(
      'SELECT c.serial FROM json_each(?) j CROSS JOIN certificates c ON c.id = j.value',
    )
    .pluck();
  const end = db.prepare<[number]>('DELETE FROM quarantines WHERE device_id = ?');
  const kill = db.prepare<[number, number]>(
    'UPDATE devices SET tickets_after = max(tickets_after, ?) WHERE id = ?',
  );
  const deviceOf = (id: number) => {
    const found = find.get(id);
    if (found) return found;
    throw new BirthmarkError('device-unknown', 'the ledger has no such device');
  };
  return {
    moveDevices: (moves) =>
      call(() => {
        if (moves.length === 0) return;
        if (move.run(JSON.stringify(moves)).changes < moves.length)
          throw new BirthmarkError('device-unknown', 'the ledger has no such device');
      }),
    noteSettled: (ids) =>
      call(() => {
        settled.run(JSON.stringify(ids));
      }),
    addQuarantine: ({ deviceId, cause, since, orderedBy, held }) =>
      call(() => {
        const device = deviceOf(deviceId);
        const ids = JSON.stringify(held);
        add.run(deviceId, cause, since, orderedBy, ids);
        setState.run('quarantined', deviceId);
        const serials = serialsOf.all(ids).map(toHex);
        note({ act: 'quarantine', ...device, cause, since, by: orderedBy, held: serials });
      }),
    endQuarantine: (deviceId, to) =>
      call(() => {
        end.run(deviceId);
        setState.run(to, deviceId);
        note({ act: 'endQuarantine', ...deviceOf(deviceId), state: to });
      }),
    retireDevice: (deviceId) =>
      call(() => {
        end.run(deviceId);
        setState.run('retired', deviceId);
        note({ act: 'retireDevice', ...deviceOf(deviceId) });
      }),
    killTickets: (deviceId, upTo) =>
      call(() => {
        kill.run(upTo, deviceId);
        note({ act: 'killTickets', ...deviceOf(deviceId), upTo });
      }),
  };
}

function toFacts({ seen, ldevidCompromised, idevidCompromised, rotating, ...row }: FactsRow): LifeFacts {
  return {
    ...row,
    seen: seen === 1,
    ldevidCompromised: ldevidCompromised === 1,
    idevidCompromised: idevidCompromised === 1,
    rotating: rotating === 1,
  };
}

/** What we wrote ourselves. */
function readIds(text: string): number[] {
  const ids: unknown = JSON.parse(text);
  if (Array.isArray(ids) && ids.every((id) => typeof id === 'number')) return ids;
  throw new BirthmarkError('ledger-failed', 'a quarantine in the ledger has no list of certificates');
}
