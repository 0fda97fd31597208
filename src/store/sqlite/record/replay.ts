import type { Database } from 'better-sqlite3';
import { BirthmarkError } from '../../../core/errors.ts';
import { stateMoves } from '../authorities.ts';
import type { RecordAct, RecordedDevice } from './frame.ts';
import { isLifeAct, lifeReplayer } from './replay-life.ts';

type Act<Name extends RecordAct['act']> = Extract<RecordAct, { act: Name }>;

/** What a replay brought back. */
export interface Replayed {
  readonly frames: number;
  readonly reservations: number;
  readonly statuses: number;
}

/** Does the acts of a frame again, in its order, within the transaction that is open. What is there already stays. */
export type Replay = (acts: readonly RecordAct[]) => Omit<Replayed, 'frames'>;

const hex = (text: string) => Buffer.from(text, 'hex');

export function replayer(db: Database): Replay {
  const reserve = reservations(db);
  const statuses = statusChanges(db);
  const life = lifeReplayer(db);
  const claim = db.prepare<unknown[]>(
    'INSERT OR IGNORE INTO keys (key_hash, holder, blocked) VALUES (?, ?, ?)',
  );
  const block = db.prepare<unknown[]>(
    `INSERT INTO keys (key_hash, blocked, blocked_at) VALUES (?, ?, ?) ON CONFLICT (key_hash)
     DO UPDATE SET blocked = excluded.blocked, blocked_at = excluded.blocked_at WHERE blocked IS NULL`,
  );
  const number = db.prepare<unknown[]>(
    `INSERT INTO crl_numbers (authority, scope, number) VALUES (?, ?, ?) ON CONFLICT (authority, scope)
     DO UPDATE SET number = max(number, excluded.number)`,
  );
  // A list with a higher number may be out already: the one that is kept is due at once.
  const due = db.prepare<unknown[]>(
    'UPDATE crls SET next_update = this_update WHERE authority = ? AND scope = ? AND number < ?',
  );
  const revokeToken = db.prepare<unknown[]>(
    'UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL',
  );
  const countToken = db.prepare<unknown[]>('UPDATE tokens SET used = used + ? WHERE id = ?');
  const bindTicket = db.prepare<unknown[]>(
    'UPDATE tickets SET bound_key_hash = ? WHERE id = ? AND bound_key_hash IS NULL',
  );
  const removeCa = db.prepare<unknown[]>('DELETE FROM trusted_cas WHERE fingerprint = ?');
  const changeTrust = db.prepare('UPDATE trust_version SET version = version + 1');
  const authority = authorityActs(db);

  /** Acts other than reservations and changes of a status. */
  function repeat(act: RecordAct): void {
    if (act.act === 'claimKey') claim.run(hex(act.keyHash), act.holder ?? null, act.blocked ?? null);
    else if (act.act === 'blockKey') block.run(hex(act.keyHash), act.reason, act.at);
    else if (act.act === 'crlNumber') {
      number.run(act.authority, act.scope, act.number);
      due.run(act.authority, act.scope, act.number);
    } else if (act.act === 'revokeToken') revokeToken.run(act.at, act.name);
    else if (act.act === 'countToken') countToken.run(act.certificates, act.id);
    else if (act.act === 'bindTicket') bindTicket.run(hex(act.keyHash), act.id);
    else if (act.act === 'addAuthority' || act.act === 'crossCertify' || act.act === 'moveAuthority')
      authority(act);
    else if (act.act === 'removeTrustedCa' && removeCa.run(hex(act.fingerprint)).changes > 0)
      changeTrust.run();
  }

  return (acts) => {
    let restored = 0;
    let changed = 0;
    for (const act of acts) {
      if (act.act === 'reserve') {
        restored += reserve(act) ? 1 : 0;
        if (act.device) life.touch(act.serial);
      } else if (act.act === 'revoke' || act.act === 'release') {
        statuses(act);
        life.touch(act.serial);
        changed += 1;
      } else if (isLifeAct(act)) life.repeat(act);
      else repeat(act);
    }
    return { reservations: restored, statuses: changed };
  };
}

/** Knows authorities again, and what became of them; their keys are files. */
function authorityActs(
  db: Database,
): (act: Act<'addAuthority'> | Act<'crossCertify'> | Act<'moveAuthority'>) => void {
  const add = db.prepare<unknown[]>(
    `INSERT OR IGNORE INTO authorities (name, family, generation, state, certificate, issuer, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const cross = db.prepare<unknown[]>(
    'INSERT OR IGNORE INTO cross_certificates (subject, issuer, certificate) VALUES (?, ?, ?)',
  );
  const move = stateMoves(db);
  return (act) => {
    if (act.act === 'moveAuthority') return move(act.name, act.state, act.at);
    const certificate = Buffer.from(act.certificate, 'base64');
    if (act.act === 'crossCertify') cross.run(act.subject, act.issuer, certificate);
    else add.run(act.name, act.family, act.generation, act.state, certificate, act.issuer, act.createdAt);
  };
}

/** Takes serial and bytes again; false where the ledger has them. */
function reservations(db: Database): (act: Act<'reserve'>) => boolean {
  const known = db.prepare<[Buffer]>('SELECT 1 FROM certificates WHERE serial = ?');
  const add = db.prepare<unknown[]>(
    `INSERT INTO certificates (serial, authority, device_id, profile, key_hash, not_before, not_after, shard,
       vouched_by, holder, reserved_at, tbs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const addPending = db.prepare<[number | bigint]>('INSERT INTO pending (id) VALUES (?)');
  const setLatest = db.prepare<[number, number]>('UPDATE latest_reservation SET at = ? WHERE at < ?');
  const claim = db.prepare<[Buffer, number]>(
    'INSERT OR IGNORE INTO keys (key_hash, device_id) VALUES (?, ?)',
  );
  const holderOf = db.prepare<[Buffer], string | null>('SELECT holder FROM keys WHERE key_hash = ?').pluck();
  const deviceOf = devices(db);
  const note = auditNote(db);
  return (act) => {
    const serial = hex(act.serial);
    if (known.get(serial)) return false;
    const { device } = act;
    const deviceId = device ? deviceOf(device) : null;
    const keyHash = hex(act.keyHash);
    const place = [serial, act.authority, deviceId, act.profile, keyHash];
    const times = [act.notBefore, act.notAfter, act.shard];
    const { lastInsertRowid } = add.run(
      ...place,
      ...times,
      act.vouchedBy,
      act.holder,
      act.reservedAt,
      Buffer.from(act.tbs, 'base64'),
    );
    addPending.run(lastInsertRowid);
    setLatest.run(act.reservedAt, act.reservedAt);
    if (deviceId !== null) claim.run(keyHash, deviceId);
    const subject = device
      ? `device:${device.namespace}/${device.serialNumber}`
      : (holderOf.get(keyHash) ?? `certificate:${act.serial}`);
    note(act.reservedAt, act.vouchedBy, 'certificate.issue', subject, {
      profile: act.profile,
      serial: act.serial,
    });
    return true;
  };
}

function devices(db: Database): (device: RecordedDevice) => number {
  const find = db
    .prepare<[string, string], number>('SELECT id FROM devices WHERE namespace = ? AND serial_number = ?')
    .pluck();
  const add = db.prepare<unknown[]>(
    `INSERT INTO devices (namespace, serial_number, model, batch, hw_type, hw_serial_num, state, created_at,
       rebirth_allowed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const label = db.prepare<[string]>('INSERT OR IGNORE INTO device_labels (label) VALUES (?)');
  const move = db.prepare<unknown[]>('UPDATE devices SET state = ?, rebirth_allowed = ? WHERE id = ?');
  return (device) => {
    const { namespace, serialNumber, model = null, batch = null, hwType = null, hwSerialNum } = device;
    const rebirth = device.rebirthAllowed ? 1 : 0;
    const found = find.get(namespace, serialNumber);
    if (found !== undefined) {
      move.run(device.state, rebirth, found);
      return found;
    }
    for (const text of [model, batch]) if (text !== null) label.run(text);
    const hardware = [hwType, hwSerialNum === undefined ? null : hex(hwSerialNum)];
    const rest = [device.state, device.createdAt, rebirth];
    return Number(add.run(namespace, serialNumber, model, batch, ...hardware, ...rest).lastInsertRowid);
  };
}

/** Revokes, holds and releases again, under the sequence number that it had. */
function statusChanges(db: Database): (act: Act<'revoke'> | Act<'release'>) => void {
  const find = db.prepare<[Buffer], number>('SELECT id FROM certificates WHERE serial = ?').pluck();
  const put = db.prepare<unknown[]>(
    `INSERT OR REPLACE INTO revocations (id, serial, authority, shard, not_after, reason, held, revoked_at,
       invalidity_at, discovered_at, decided_at, recorded_at, published_at, enforced_at, revoked_by)
     SELECT id, serial, authority, shard, not_after, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM certificates WHERE id = ?`,
  );
  const release = db.prepare<[number]>('DELETE FROM revocations WHERE id = ? AND held = 1');
  const append = db.prepare<unknown[]>(
    `INSERT INTO status_changes (sequence, serial, authority, shard, key_hash, status, reason, at)
     SELECT ?, serial, authority, shard, key_hash, ?, ?, ? FROM certificates WHERE id = ?`,
  );
  const note = auditNote(db);
  return (act) => {
    const id = find.get(hex(act.serial));
    if (id === undefined)
      throw new BirthmarkError(
        'record-foreign',
        `the record changes the status of certificate ${act.serial}, which this ledger does not have: one of the two is ` +
          'not of this home; put back the right one',
      );
    const subject = `certificate:${act.serial}`;
    if (act.act === 'release') {
      release.run(id);
      append.run(act.sequence, 'good', null, act.at, id);
      note(act.at, 'system', 'certificate.release', subject, {});
      return;
    }
    const { reason = null, invalidityAt = null, publishedAt = null, enforcedAt = null, recordedAt } = act;
    const times = [act.revokedAt, invalidityAt, act.discoveredAt, act.decidedAt, recordedAt];
    put.run(reason, act.held ? 1 : 0, ...times, publishedAt, enforcedAt, act.by, id);
    append.run(act.sequence, act.held ? 'held' : 'revoked', reason, recordedAt, id);
    note(recordedAt, act.by, act.held ? 'certificate.hold' : 'certificate.revoke', subject, {
      reason: reason ?? 'unspecified',
    });
  };
}

/** The act's audit record was lost with the ledger: this one stands for it and says where it comes from. */
function auditNote(
  db: Database,
): (
  at: number,
  actor: string,
  action: string,
  subject: string,
  facts: Readonly<Record<string, string>>,
) => void {
  const append = db.prepare<unknown[]>(
    `INSERT INTO audit (at, actor, action, subject, outcome, facts) VALUES (?, ?, ?, ?, 'done', ?)`,
  );
  return (at, actor, action, subject, facts) => {
    append.run(at, actor, action, subject, JSON.stringify({ ...facts, from: 'record' }));
  };
}
