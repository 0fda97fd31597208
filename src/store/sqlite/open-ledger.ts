import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import type { CrlMoments } from '../../ca/crl/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Ledger, LedgerTx } from '../../enroll/ports.ts';
import { approvalWrites } from './approvals.ts';
import { auditWrites } from './audit.ts';
import { authorityWrites } from './authorities.ts';
import { campaignWrites } from './campaigns.ts';
import { certificateWrites } from './certificates.ts';
import { revocationWrites } from './change-revocations.ts';
import { type Checkpoint, checkpoint } from './checkpoint.ts';
import { type Connection, createFile, openFile } from './connection.ts';
import { credentialWrites } from './credentials.ts';
import { crlMoments } from './crl-moments.ts';
import { crlWrites } from './crls.ts';
import { deviceWrites } from './devices.ts';
import { type CommitFacts, type GroupCommit, groupCommit } from './group-commit.ts';
import { hygieneWrites } from './hygiene.ts';
import { keyWrites } from './keys.ts';
import { migrate } from './migrate.ts';
import { readerConnection, readsOf } from './read-ledger.ts';
import { headReader } from './record/head.ts';
import { type LedgerRecord, ledgerRecord, type RecordOptions } from './record/ledger-record.ts';
import { renewalCallWrites } from './renewal-calls.ts';
import { rotationWrites } from './rotations.ts';
import { sightingWrites } from './sightings.ts';
import { translateError } from './translate-error.ts';
import { trustWrites } from './trust.ts';

export interface LedgerOptions {
  /** The ledger's file; `:memory:` for one that is gone when it is closed. Two more files lie beside it (WAL, index). */
  readonly path: string;
  /** The record beside it (`record/`). A ledger that was written with one takes nothing of weight without it. */
  readonly record?: RecordOptions;
  /** How long a write may wait for other processes before it fails with `ledger-busy`. */
  readonly busyTimeoutMs?: number;
  /** Called after each commit. */
  readonly onCommit?: (facts: CommitFacts) => void;
  /** Makes the connections, the writing one first. Tests take hold of them here, to let the real engine fail. */
  readonly openConnection?: typeof openFile;
}

export interface SqliteLedger extends Ledger, CrlMoments {
  /** Copies the WAL into the ledger's file as far as nobody is in the way; `keepWalShort` does more. */
  checkpoint(): Checkpoint;
  /** Works that wait fail with `unavailable`. */
  close(): void;
}

const DEFAULT_BUSY_TIMEOUT_MS = 5000;
const WRITER_CACHE_KIB = 4 * 1024;
const READER_CACHE_KIB = 1024;

/**
 * Opens the ledger, makes it where there is none, and brings it to the newest shape. Several processes may have it open;
 * one writes at a time.
 *
 * @throws BirthmarkError `ledger-newer`, `ledger-busy`, `ledger-full`, `ledger-failed`; with a record `record-missing`,
 *   `record-behind`, `record-foreign`, `record-broken`
 */
export function openLedger({
  path,
  record: recordOptions,
  busyTimeoutMs = DEFAULT_BUSY_TIMEOUT_MS,
  onCommit,
  openConnection = openFile,
}: LedgerOptions): SqliteLedger {
  const opened: Database[] = [];
  const thrownAway = path === ':memory:';
  const file = thrownAway ? join(mkdtempSync(join(tmpdir(), 'birthmark-')), 'ledger') : resolve(path);
  let closed = false;
  let record: LedgerRecord | undefined;

  function close(): void {
    closed = true;
    record?.close();
    for (const db of opened.splice(0)) db.close();
    if (thrownAway) rmSync(dirname(file), { recursive: true, force: true });
  }

  function open(cacheKiB: number): Database {
    const synchronous = thrownAway ? 'OFF' : 'FULL';
    const db = openConnection(file, { cacheKiB, busyTimeoutMs, synchronous });
    opened.push(db);
    return db;
  }

  try {
    createFile(file);
    const writer = open(WRITER_CACHE_KIB);
    migrate(writer, busyTimeoutMs);
    record = recordOptions && ledgerRecord(writer, recordOptions);
    record?.open();
    // Waiting is the group commit's, which does not stop the process for it.
    writer.pragma('busy_timeout = 0');
    const openReader = () => {
      const db = openConnection(file, { cacheKiB: READER_CACHE_KIB, busyTimeoutMs, synchronous: 'FULL' });
      db.pragma('query_only = ON');
      return db;
    };
    const reader = openReader();
    opened.push(reader);

    const commits = groupCommit(writer, { busyTimeoutMs, onCommit, record });
    const tx = writesOf(writerConnection(writer, commits, record));
    return {
      read: readsOf(readerConnection(reader, () => closed)),
      ...crlMoments(openReader, () => closed),
      write: (work) => commits.write(() => work(tx)),
      checkpoint() {
        try {
          return checkpoint(reader, 'PASSIVE');
        } catch (error) {
          throw translateError(error);
        }
      },
      close() {
        commits.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw translateError(error);
  }
}

function writerConnection(db: Database, commits: GroupCommit, record: LedgerRecord | undefined): Connection {
  const hasHead = headReader(db)() !== undefined;
  return {
    db,
    call: (act) => commits.call(act),
    pause: () => Promise.resolve(),
    note(act) {
      if (record) record.note(act);
      else if (hasHead)
        throw new BirthmarkError(
          'record-missing',
          'this ledger is written with a record beside it, and was opened without',
        );
    },
  };
}

function writesOf(connection: Connection): LedgerTx {
  return {
    ...readsOf(connection),
    ...approvalWrites(connection),
    ...auditWrites(connection),
    ...authorityWrites(connection),
    ...campaignWrites(connection),
    ...certificateWrites(connection),
    ...credentialWrites(connection),
    ...crlWrites(connection),
    ...deviceWrites(connection),
    ...hygieneWrites(connection),
    ...keyWrites(connection),
    ...renewalCallWrites(connection),
    ...revocationWrites(connection),
    ...rotationWrites(connection),
    ...sightingWrites(connection),
    ...trustWrites(connection),
  };
}
