import type { ReadSnapshot } from '../../broker-auth/status/read-snapshot.ts';
import { StatusTable } from '../../broker-auth/status/status-table.ts';
import type { Change } from '../../broker-auth/status/wire.ts';
import type { Authorities } from '../../ca/authority.ts';
import type { KeyReads, RevocationReads } from '../../ca/ports.ts';
import { breathe } from '../../core/breathe.ts';
import { toHex } from '../../core/bytes.ts';
import { hashKey } from '../../x509/public-key.ts';
import { issuerKeyId, toTime, toWire } from '../status/change-pages.ts';
import type { StatusTail } from '../status/status-tail.ts';

export interface LedgerStatusOptions {
  readonly ledger: RevocationReads & Pick<KeyReads, 'scanBlockedKeys'>;
  readonly authorities: Authorities;
  readonly tail: StatusTail;
  /** A status has changed. */
  readonly onChange: (change: Change) => void;
  /** All that is known was read anew: nobody says what has changed by that. */
  readonly onReplaced: () => void;
  readonly onFault: (error: unknown) => void;
}

/** What the house knows of statuses, in memory and in step with its ledger. */
export interface LedgerStatus {
  /** As fresh as the last look at the ledger; it ages where the ledger cannot be looked at. */
  known(): ReadSnapshot;
  stop(): Promise<void>;
}

const PAGE = 500;
const RETRY_MS = 500;

/**
 * Reads all that is not good, and follows what changes from there.
 *
 * @throws what the ledger throws
 */
export async function followLedger(options: LedgerStatusOptions): Promise<LedgerStatus> {
  const { ledger, authorities, tail, onChange, onReplaced, onFault } = options;
  const unlisten = tail.listen();
  let stopped = false;
  let known = await read();
  const running = run();

  async function read(): Promise<ReadSnapshot> {
    const { epoch, sequence, at } = await tail.look();
    const table = new StatusTable({ epoch, sequence }, at);
    for (let after: number | undefined = 0; after !== undefined; ) {
      const found = await ledger.listTakenBack({ endedBefore: 0, after, limit: PAGE });
      for (const { authority, serial, keyHash, held, reason, recordedAt } of found)
        table.load({
          issuerKeyId: issuerKeyId(authorities, authority),
          serial: toHex(serial),
          keyHash: toHex(keyHash),
          status: held ? 'held' : 'revoked',
          ...(reason && { reason }),
          at: toTime(recordedAt),
        });
      after = found.length === PAGE ? found.at(-1)?.id : undefined;
      await breathe();
    }
    for (let after: Uint8Array | undefined = new Uint8Array(0); after !== undefined; ) {
      const { items, through } = await ledger.scanBlockedKeys({ endedBefore: 0, after, limit: PAGE });
      for (const keyHash of items) table.load({ blockedKey: toHex(keyHash) });
      after = through;
      await breathe();
    }
    return { header: headerOf(epoch, sequence, at), table };
  }

  function headerOf(epoch: string, sequence: number, at: number): ReadSnapshot['header'] {
    return {
      format: 'birthmark-status-snapshot',
      version: 1,
      epoch,
      sequence,
      issuedAt: toTime(at),
      validUntil: toTime(at),
      endedBefore: toTime(0),
      authorities: [...authorities.values()].map(({ name, keyId, certificate }) => ({
        name,
        issuerKeyId: toHex(keyId),
        keyHash: toHex(hashKey(certificate.tbs.spki)),
      })),
    };
  }

  async function catchUp(): Promise<void> {
    const { seen } = tail;
    if (!seen) return;
    const { epoch, sequence } = known.table.position;
    if (seen.epoch !== epoch || seen.sequence < sequence) {
      known = await read();
      onReplaced();
      return;
    }
    while (known.table.position.sequence < seen.sequence && !stopped) {
      const changes = await ledger.listStatusChanges(known.table.position.sequence, PAGE);
      if (changes.length === 0) return;
      for (const change of changes) {
        const told = toWire(change, undefined, undefined, authorities);
        known.table.apply(told);
        onChange(told);
      }
      await breathe();
    }
  }

  async function run(): Promise<void> {
    while (!stopped && !tail.closed) {
      try {
        await catchUp();
        if (known.table.position.sequence === tail.seen?.sequence) await tail.next();
      } catch (error) {
        onFault(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  return {
    known() {
      const { seen } = tail;
      const { epoch, sequence } = known.table.position;
      if (seen && seen.epoch === epoch && seen.sequence === sequence) known.table.confirm(seen, seen.at);
      return known;
    },
    async stop() {
      stopped = true;
      unlisten();
      await running;
    },
  };
}
