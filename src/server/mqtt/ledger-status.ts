import { NameTable } from '../../broker-auth/status/name-table.ts';
import type { Position } from '../../broker-auth/status/position.ts';
import type { ReadSnapshot } from '../../broker-auth/status/read-snapshot.ts';
import { StatusTable } from '../../broker-auth/status/status-table.ts';
import type { Change, SnapshotLine } from '../../broker-auth/status/wire.ts';
import { type Authorities, certificatesBelowRoots } from '../../ca/authority.ts';
import type { KeyReads } from '../../ca/ports.ts';
import type { CertificateHolder, RevocationReads } from '../../ca/revocation/ports.ts';
import { breathe } from '../../core/breathe.ts';
import { toBase64, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { hashKey } from '../../x509/public-key.ts';
import { issuerKeyId, toTime, toWire } from '../status/change-pages.ts';
import type { StatusTail } from '../status/status-tail.ts';

export interface LedgerStatusOptions {
  readonly ledger: RevocationReads & Pick<KeyReads, 'scanBlockedKeys'>;
  readonly authorities: Authorities;
  /** Looks for authorities that came since. */
  readonly look?: () => Promise<unknown>;
  readonly tail: StatusTail;
  /** Know the devices too: for brokers that show a name only. */
  readonly holders?: boolean;
  readonly clock: Clock;
  /** A status has changed. */
  readonly onChange: (change: Change) => void;
  /** All that is known was read anew: nobody says what has changed by that. */
  readonly onReplaced: () => void;
  readonly onFault: (error: unknown) => void;
}

/** What the house knows of statuses, in memory and in step with its ledger. */
export interface LedgerStatus {
  /** As fresh as the last look at the ledger; it ages where the ledger cannot be looked at. Undefined until all was read. */
  known(): ReadSnapshot | undefined;
  /** Resolves when all was read for the first time, or when it stops. */
  readonly read: Promise<void>;
  /** Reads all anew soon, at most once a minute: a device that was told to have nothing left may have been given something. */
  refresh(): void;
  stop(): Promise<void>;
}

const PAGE = 500;
const RETRY_MS = 500;
const READ_EVERY_MS = 60_000;

/** Begins to read all that is not good, and follows what changes from there. */
export function followLedger(options: LedgerStatusOptions): LedgerStatus {
  const {
    ledger,
    authorities,
    look,
    tail,
    holders: tellHolders = false,
    clock,
    onChange,
    onReplaced,
    onFault,
  } = options;
  const unlisten = tail.listen();
  let stopped = false;
  let wanted = false;
  let readAt = clock();
  let known: ReadSnapshot | undefined;
  const first = Promise.withResolvers<void>();
  const running = run();

  async function read(): Promise<ReadSnapshot> {
    const { epoch, sequence, at, steadyAt } = await tail.look();
    // Behind the epoch, which begins with a new authority.
    await look?.();
    const table = new StatusTable({ epoch, sequence }, steadyAt);
    const names = tellHolders ? new NameTable() : undefined;
    for (let after: number | undefined = 0; after !== undefined; ) {
      const found = await ledger.listTakenBack({ endedBefore: 0, after, limit: PAGE });
      const holders = await holdersOf(found);
      for (const [index, { authority, serial, keyHash, held, reason, recordedAt }] of found.entries()) {
        const holder = holders[index];
        const line: SnapshotLine = {
          issuerKeyId: issuerKeyId(authorities, authority),
          serial: toHex(serial),
          keyHash: toHex(keyHash),
          status: held ? 'held' : 'revoked',
          ...(reason && { reason }),
          ...(holder && { holder }),
          at: toTime(recordedAt),
        };
        table.load(line);
        names?.load(line);
      }
      after = found.length === PAGE && !stopped ? found.at(-1)?.id : undefined;
      await breathe();
    }
    for (let after: Uint8Array | undefined = new Uint8Array(0); after !== undefined; ) {
      const { items, through } = await ledger.scanBlockedKeys({ endedBefore: 0, after, limit: PAGE });
      for (const keyHash of items) table.load({ blockedKey: toHex(keyHash) });
      after = through;
      await breathe();
    }
    return { header: headerOf(epoch, sequence, at), table, ...(names && { names }) };
  }

  async function holdersOf(
    certificates: readonly { readonly serial: Uint8Array }[],
  ): Promise<readonly (CertificateHolder | undefined)[]> {
    if (!tellHolders) return [];
    return ledger.findHolders(
      certificates.map(({ serial }) => serial),
      clock(),
    );
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
      intermediates: certificatesBelowRoots(authorities).map(toBase64),
    };
  }

  async function catchUp(): Promise<void> {
    const { seen } = tail;
    if (!known || (seen && isToReplace(known, seen))) {
      wanted = false;
      readAt = clock();
      const found = await read();
      // What was cut short is not all.
      if (stopped) return;
      known = found;
      onReplaced();
      first.resolve();
    } else if (seen) await follow(known, seen);
  }

  function isToReplace({ table }: ReadSnapshot, seen: Position): boolean {
    const { epoch, sequence } = table.position;
    const isDue = wanted && clock() - readAt >= READ_EVERY_MS;
    return isDue || seen.epoch !== epoch || seen.sequence < sequence;
  }

  async function follow({ table, names }: ReadSnapshot, seen: Position): Promise<void> {
    while (table.position.sequence < seen.sequence && !stopped) {
      const changes = await ledger.listStatusChanges(table.position.sequence, PAGE);
      if (changes.length === 0) return;
      const holders = await holdersOf(changes);
      for (const [index, change] of changes.entries()) {
        const told = toWire(change, undefined, holders[index], authorities);
        table.apply(told);
        names?.take(told);
        onChange(told);
      }
      await breathe();
    }
  }

  async function run(): Promise<void> {
    while (!stopped && !tail.closed) {
      try {
        await catchUp();
        // Whoever was stopped meanwhile is woken by nobody.
        if (!stopped && known?.table.position.sequence === tail.seen?.sequence) await tail.next();
      } catch (error) {
        onFault(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  return {
    known() {
      const { seen } = tail;
      if (!known || !seen) return known;
      const { epoch, sequence } = known.table.position;
      if (seen.epoch === epoch && seen.sequence === sequence) known.table.confirm(seen, seen.steadyAt);
      return known;
    },
    read: first.promise,
    refresh() {
      wanted = true;
    },
    async stop() {
      stopped = true;
      unlisten();
      await running;
      first.resolve();
    },
  };
}
