import type { Database } from 'better-sqlite3';
import { toHex } from '../../../core/bytes.ts';
import { BirthmarkError } from '../../../core/errors.ts';
import { openFile } from '../connection.ts';
import { refuseOtherShape } from '../migrate.ts';
import { translateError } from '../translate-error.ts';
import { type Frame, NOTHING_BEFORE, type RecordAct } from './frame.ts';
import { headReader } from './head.ts';
import { checkHead } from './reconcile.ts';
import { openRecordFile, type RecordFile } from './record-file.ts';
import { walkFrames } from './walk.ts';

/** What a record tells, and where the ledger says otherwise. */
export interface RecordReport {
  readonly frames: number;
  readonly certificates: number;
  readonly statusChanges: number;
  /** Octets of the record that the ledger knows. */
  readonly octets: number;
  /** Octets behind them, that the next start does again or cuts off. */
  readonly behind: number;
  readonly beganAt?: number;
  /** The last frame: its number, and the SHA-256 of its octets, hexadecimal. */
  readonly head?: { readonly sequence: number; readonly hash: string };
  readonly began?: Extract<RecordAct, { act: 'begin' }>['reason'];
  /** What does not agree, the first 20. */
  readonly findings: readonly string[];
}

const MOST_FINDINGS = 20;

export interface VerifyRecordOptions {
  readonly ledger: string;
  readonly record: string;
  /** Reads all of the record; else only the frame that the ledger knows as its last is looked at. */
  readonly full: boolean;
}

/**
 * Reads the record, holds each frame to the one before it, and each act to the ledger as of one moment. Writes
 * nothing; others may write meanwhile.
 *
 * @throws BirthmarkError `ledger-older`, `ledger-newer`; `ledger-failed` where the ledger cannot be read
 */
export function verifyRecord({ ledger, record, full }: VerifyRecordOptions): RecordReport {
  const db = openFile(ledger, { cacheKiB: 16_384, busyTimeoutMs: 5000, synchronous: 'FULL', readonly: true });
  const file = openRecordFile(record);
  try {
    refuseOtherShape(db);
    // One read transaction: the ledger stands still for us at its head.
    return db.transaction(() => verify(db, file, full))();
  } catch (error) {
    throw translateError(error);
  } finally {
    file.close();
    db.close();
  }
}

function verify(db: Database, file: RecordFile, full: boolean): RecordReport {
  const report = { frames: 0, certificates: 0, statusChanges: 0, octets: 0, behind: 0 };
  const findings: string[] = [];
  const head = headReader(db)();
  if (!head) return { ...report, findings: ['the ledger has no record yet; the next start begins one'] };
  let began: { readonly began: 'new' | 'late' | 'anew'; readonly beganAt: number } | undefined;
  const differs = comparer(db);
  let known = { certificates: 0, changes: 0 };
  try {
    const size = file.size();
    checkHead(file, head, size);
    report.octets = head.end;
    report.behind = size - head.end;
    if (!full) return { ...report, findings };
    for (const step of walkFrames(file, { ...NOTHING_BEFORE, end: 0 }, head.end)) {
      if ('torn' in step) throw new BirthmarkError('record-broken', 'the record is torn before its end');
      report.frames += 1;
      for (const act of step.frame.acts) {
        if (act.act === 'begin') {
          began = { began: act.reason, beganAt: step.frame.at };
          known = { certificates: act.certificates, changes: act.lastStatusChange };
        } else if (act.act === 'reserve') report.certificates += 1;
        else if (act.act === 'revoke' || act.act === 'release') report.statusChanges += 1;
        const difference = differs(act, step.frame);
        if (difference !== undefined && findings.length < MOST_FINDINGS) findings.push(difference);
      }
    }
    for (const difference of statusDifferences(db))
      if (findings.length < MOST_FINDINGS) findings.push(difference);
    const count = (sql: string) => Number(db.prepare(sql).pluck().get() ?? 0);
    const certificates =
      count('SELECT count(*) FROM certificates') - known.certificates - report.certificates;
    if (certificates > 0)
      findings.push(`the ledger has ${certificates} certificates that the record does not know`);
    const changes = count('SELECT max(sequence) FROM status_changes') - known.changes - report.statusChanges;
    if (changes > 0)
      findings.push(`the ledger has ${changes} changes of a status that the record does not know`);
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    findings.push(error.message);
  }
  const last = { sequence: head.sequence, hash: toHex(head.hash) };
  return { ...report, ...began, head: last, findings };
}

/** Certificates of which the ledger says something else than their last change, which the record was held to. */
function statusDifferences(db: Database): string[] {
  const standing = `CASE WHEN r.id IS NULL THEN 'good' WHEN (r.serial, r.authority, r.shard) <> (c.serial, c.authority, c.shard)
    THEN 'listed elsewhere' ELSE iif(r.held = 1, 'held', 'revoked') || coalesce(' for ' || r.reason, '') END`;
  const rows = db
    .prepare<[number], { readonly serial: Buffer; readonly told: string; readonly standing: string }>(
      `SELECT l.serial, l.status AS told, ${standing} AS standing
       FROM (SELECT serial, status || coalesce(' for ' || reason, '') AS status, max(sequence) FROM status_changes
         GROUP BY serial) l
       LEFT JOIN certificates c ON c.serial = l.serial LEFT JOIN revocations r ON r.id = c.id
       WHERE l.status <> ${standing}
       UNION ALL
       SELECT serial, 'good', 'revoked' FROM revocations WHERE serial NOT IN (SELECT serial FROM status_changes)
       LIMIT ?`,
    )
    .all(MOST_FINDINGS);
  return rows.map(
    (row) => `the ledger has ${toHex(row.serial)} as ${row.standing}, and its last change as ${row.told}`,
  );
}

/** Says what the ledger lacks of an act. */
function comparer(db: Database): (act: RecordAct, frame: Frame) => string | undefined {
  const tbsOf = db.prepare<[Buffer], Buffer>('SELECT tbs FROM certificates WHERE serial = ?').pluck();
  const change = db.prepare<[number], { readonly serial: Buffer; readonly status: string }>(
    'SELECT serial, status FROM status_changes WHERE sequence = ?',
  );
  const blocked = db.prepare<[Buffer], string | null>('SELECT blocked FROM keys WHERE key_hash = ?').pluck();
  const taken = db
    .prepare<[string, string], number>('SELECT number FROM crl_numbers WHERE authority = ? AND scope = ?')
    .pluck();
  const authority = db
    .prepare<[string], Buffer>('SELECT certificate FROM authorities WHERE name = ?')
    .pluck();
  const hex = (text: string) => Buffer.from(text, 'hex');

  return (act, { sequence: frame }) => {
    if (act.act === 'reserve') {
      const tbs = tbsOf.get(hex(act.serial));
      if (!tbs) return `frame ${frame}: the ledger has no certificate ${act.serial}`;
      if (tbs.toString('base64') !== act.tbs)
        return `frame ${frame}: the ledger has other octets of ${act.serial}`;
    } else if (act.act === 'revoke' || act.act === 'release') {
      const row = change.get(act.sequence);
      const status = act.act === 'release' ? 'good' : act.held ? 'held' : 'revoked';
      if (row?.serial.toString('hex') !== act.serial || row.status !== status)
        return `frame ${frame}: the ledger does not have change ${act.sequence} of ${act.serial} to ${status}`;
    } else if (act.act === 'blockKey') {
      if (typeof blocked.get(hex(act.keyHash)) !== 'string')
        return `frame ${frame}: the ledger does not block key ${act.keyHash}`;
    } else if (act.act === 'crlNumber') {
      if ((taken.get(act.authority, act.scope) ?? 0) < act.number)
        return `frame ${frame}: the ledger has not taken number ${act.number} of list ${act.authority}/${act.scope}`;
    } else if (act.act === 'addAuthority') {
      if (authority.get(act.name)?.toString('base64') !== act.certificate)
        return `frame ${frame}: the ledger does not have authority ${act.name} with that certificate`;
    }
    return undefined;
  };
}
