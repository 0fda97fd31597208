import type { Database } from 'better-sqlite3';
import { BirthmarkError } from '../../core/errors.ts';
import { ledger } from './migrations/0001-ledger.ts';
import { trust } from './migrations/0002-trust.ts';
import { revocation } from './migrations/0003-revocation.ts';
import { record } from './migrations/0004-record.ts';
import { blockedKeys } from './migrations/0005-blocked-keys.ts';
import { delta } from './migrations/0006-delta.ts';
import { sightings } from './migrations/0007-sightings.ts';
import { life } from './migrations/0008-life.ts';
import { campaigns } from './migrations/0009-campaigns.ts';
import { generations } from './migrations/0011-generations.ts';
import { campaignLooks } from './migrations/0012-campaign-looks.ts';
import { conflictQuarantines } from './migrations/0013-conflict-quarantines.ts';
import { isBusy } from './translate-error.ts';

/**
 * In order, which is that of the files' names; a step's place is its number, whatever its file is called. What was released is
 * never changed, only added to.
 */
const MIGRATIONS: readonly string[] = [
  ledger,
  trust,
  revocation,
  record,
  blockedKeys,
  delta,
  sightings,
  life,
  campaigns,
  generations,
  campaignLooks,
  conflictQuarantines,
];

/** `BMRK`, in the file's header (https://www.sqlite.org/fileformat.html#application_id): whose file this is. */
export const APPLICATION_ID = 0x424d524b;

/**
 * Brings the ledger to the shape that this program knows, each step in a transaction of its own. Several processes may
 * do so at once. Waits for locks as long as the connection's busy timeout says.
 *
 * @throws BirthmarkError `ledger-newer`, `ledger-failed` when the file is a database of somebody else
 */
export function migrate(db: Database, waitMs: number): void {
  refuseForeign(db);
  // A copy of a ledger may be in another mode.
  if (db.pragma('journal_mode', { simple: true }) !== 'wal') enterWal(db, waitMs);
  if (version(db) < MIGRATIONS.length) {
    MIGRATIONS.forEach((sql, at) => {
      apply(db, at + 1, sql);
    });
  }
  refuseNewer(db);
}

/**
 * Refuses a ledger that is not of the very shape that this program knows, for those who only look at it.
 *
 * @throws BirthmarkError `ledger-older`, `ledger-newer`, `ledger-failed` where it is none
 */
export function refuseOtherShape(db: Database): void {
  refuseForeign(db);
  refuseNewer(db);
  const shape = version(db);
  if (shape === 0) throw new BirthmarkError('ledger-failed', 'the ledger is empty; restore a backup of it');
  if (shape < MIGRATIONS.length) {
    throw new BirthmarkError(
      'ledger-older',
      `the ledger is of an older version of this program (its shape is ${shape}, this one knows ${MIGRATIONS.length}): ` +
        'make a backup of it, then start this version once, which brings it up to date',
    );
  }
}

/** @throws BirthmarkError `ledger-newer` */
export function refuseNewer(db: Database): void {
  if (version(db) > MIGRATIONS.length) {
    throw new BirthmarkError(
      'ledger-newer',
      `the ledger was written by a newer version of this program (its shape is ${version(db)}, this one knows ` +
        `${MIGRATIONS.length}); run that version`,
    );
  }
}

function apply(db: Database, number: number, sql: string): void {
  // Looked at within the transaction: the process that waited for it here finds the step done.
  const step = db.transaction(() => {
    if (version(db) >= number) return;
    db.exec(sql);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${number}`);
  });
  step.immediate();
}

function refuseForeign(db: Database): void {
  const known = db.pragma('application_id', { simple: true }) === APPLICATION_ID;
  const empty = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (!known && !empty) {
    throw new BirthmarkError('ledger-failed', 'the file is a database, but not a ledger of this program');
  }
}

function version(db: Database): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/** The change to WAL does not wait by itself when two processes make it at once. The mode stays with the file. */
function enterWal(db: Database, waitMs: number): void {
  const stepMs = 5;
  for (let waited = 0; ; waited += stepMs) {
    try {
      db.pragma('journal_mode = WAL');
      return;
    } catch (error) {
      if (!isBusy(error) || waited >= waitMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stepMs);
    }
  }
}
