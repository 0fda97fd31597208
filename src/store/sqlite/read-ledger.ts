import { setImmediate } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import type { LedgerReads } from '../../enroll/ports.ts';
import { approvalReads } from './approvals.ts';
import { auditReads } from './audit.ts';
import { authorityReads } from './authorities.ts';
import { campaignReads } from './campaigns.ts';
import { certificateReads } from './certificates.ts';
import { type Connection, openFile } from './connection.ts';
import { credentialReads } from './credentials.ts';
import { crlReads } from './crls.ts';
import { deviceReads } from './devices.ts';
import { hygieneReads } from './hygiene.ts';
import { keyReads } from './keys.ts';
import { refuseOtherShape } from './migrate.ts';
import { renewalCallReads } from './renewal-calls.ts';
import { revocationReads } from './revocations.ts';
import { rotationReads } from './rotations.ts';
import { sightingReads } from './sightings.ts';
import { ledgerClosed, translateError } from './translate-error.ts';
import { trustReads } from './trust.ts';

/** A ledger that is only looked at. */
export interface ReadLedger {
  readonly read: LedgerReads;
  close(): void;
}

/**
 * Opens a ledger to look at it and to change nothing, its shape included; others may write it meanwhile.
 *
 * @throws BirthmarkError `ledger-older`, `ledger-newer`, `ledger-failed`
 */
export function readLedger(path: string): ReadLedger {
  let db: Database | undefined;
  try {
    db = openFile(path, { cacheKiB: 16_384, busyTimeoutMs: 5000, synchronous: 'FULL', readonly: true });
    refuseOtherShape(db);
    const reader = db;
    let closed = false;
    return {
      read: readsOf(readerConnection(reader, () => closed)),
      close() {
        closed = true;
        reader.close();
      },
    };
  } catch (error) {
    db?.close();
    throw translateError(error);
  }
}

export function readerConnection(db: Database, isClosed: () => boolean): Connection {
  const begin = db.prepare('BEGIN');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  return {
    db,
    async call(act) {
      if (isClosed()) throw ledgerClosed();
      try {
        begin.run();
        const outcome = act();
        commit.run();
        return outcome;
      } catch (error) {
        if (db.inTransaction) rollback.run();
        throw translateError(error);
      }
    },
    pause: () => setImmediate(),
    note: () => undefined,
  };
}

export function readsOf(connection: Connection): LedgerReads {
  return {
    ...approvalReads(connection),
    ...auditReads(connection),
    ...authorityReads(connection),
    ...campaignReads(connection),
    ...certificateReads(connection),
    ...credentialReads(connection),
    ...crlReads(connection),
    ...deviceReads(connection),
    ...hygieneReads(connection),
    ...keyReads(connection),
    ...renewalCallReads(connection),
    ...revocationReads(connection),
    ...rotationReads(connection),
    ...sightingReads(connection),
    ...trustReads(connection),
  };
}
