import type { Database } from 'better-sqlite3';
import type { RecordAct } from './frame.ts';

type Name = 'rotate' | 'quarantine' | 'endQuarantine' | 'retireDevice' | 'killTickets';
type LifeAct = Extract<RecordAct, { act: Name }>;

const hex = (text: string) => Buffer.from(text, 'hex');

export function isLifeAct(act: RecordAct): act is LifeAct {
  return ['rotate', 'quarantine', 'endQuarantine', 'retireDevice', 'killTickets'].includes(act.act);
}

/**
 * Does acts of the lives of devices again. Their states are not worked out here: every device that is touched is noted, and
 * the fleet's next start does it (`fleet/settle-devices.ts`).
 */
export function lifeReplayer(db: Database): {
  repeat(act: LifeAct): void;
  /** A certificate of that serial was reserved or its status changed. */
  touch(serial: string): void;
} {
  const rotate = db.prepare<unknown[]>(
    `INSERT OR IGNORE INTO rotations (device_id, old_id, new_id, state, begun_at, due_at)
     SELECT o.device_id, o.id, n.id, 'open', ?, o.not_after FROM certificates o JOIN certificates n ON n.serial = ?
     WHERE o.serial = ? AND o.device_id = n.device_id`,
  );
  const quarantine = db.prepare<unknown[]>(
    `INSERT OR REPLACE INTO quarantines (device_id, cause, since, ordered_by, held)
     SELECT id, ?, ?, ?, (
       SELECT json_group_array(c.id) FROM json_each(?) j JOIN certificates c ON c.serial = unhex(j.value)
     ) FROM devices WHERE namespace = ? AND serial_number = ?`,
  );
  const end = db.prepare<unknown[]>(
    `DELETE FROM quarantines WHERE device_id IN (SELECT id FROM devices WHERE namespace = ? AND serial_number = ?)`,
  );
  const move = db.prepare<unknown[]>(
    'UPDATE devices SET state = ? WHERE namespace = ? AND serial_number = ?',
  );
  const kill = db.prepare<unknown[]>(
    'UPDATE devices SET tickets_after = max(tickets_after, ?) WHERE namespace = ? AND serial_number = ?',
  );
  const touch = db.prepare<[Buffer]>(
    `INSERT OR IGNORE INTO unsettled_devices (id)
     SELECT device_id FROM certificates WHERE serial = ? AND device_id IS NOT NULL`,
  );
  return {
    touch(serial) {
      touch.run(hex(serial));
    },
    repeat(act) {
      if (act.act === 'rotate') {
        rotate.run(act.at, hex(act.new), hex(act.old));
        return;
      }
      const device = [act.namespace, act.serialNumber];
      if (act.act === 'quarantine') {
        quarantine.run(act.cause, act.since, act.by, JSON.stringify(act.held), ...device);
        move.run('quarantined', ...device);
      } else if (act.act === 'killTickets') kill.run(act.upTo, ...device);
      else {
        end.run(...device);
        move.run(act.act === 'retireDevice' ? 'retired' : act.state, ...device);
      }
    },
  };
}
