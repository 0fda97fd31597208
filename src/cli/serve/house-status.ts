import type { Gate } from '../../broker-auth/gate.ts';
import {
  endAllTakenBack,
  endTakenBack,
  nameSource,
  tableSource,
} from '../../broker-auth/status/table-source.ts';
import type { NameStatusSource, StatusSource } from '../../broker-auth/status-source.ts';
import { followLedger } from '../../server/mqtt/ledger-status.ts';
import type { House } from '../wire.ts';

/** What the house knows of statuses, for all gates of this process. */
export interface HouseStatus {
  readonly source: StatusSource;
  readonly names: NameStatusSource;
  ageMs(): number;
  /** A device was denied by its name: it may have another certificate by now. */
  refresh(): void;
  /** From now on it is told what to end. */
  watch(gate: Gate): void;
  stop(): Promise<void>;
}

/**
 * Reads all that is not good from the ledger, and follows it.
 *
 * @throws BirthmarkError what the ledger throws
 */
export async function openHouseStatus({
  ledger,
  authorities,
  tail,
  wallClock,
  logger,
}: House): Promise<HouseStatus> {
  const gates = new Set<Gate>();
  const status = await followLedger({
    ledger: ledger.read,
    authorities,
    tail,
    holders: true,
    clock: wallClock,
    onChange: (change) => {
      for (const gate of gates) endTakenBack(gate, change);
    },
    onReplaced: () => {
      for (const gate of gates) endAllTakenBack(gate, source, names);
    },
    onFault: (error) => logger.error({ err: error }, 'the gate cannot see the ledger; it tries again'),
  });
  const source = tableSource(() => status.known());
  const names = nameSource(() => status.known());
  return {
    source,
    names,
    ageMs: () => Math.max(0, wallClock() - status.known().table.asOf),
    watch: (gate) => {
      gates.add(gate);
      endAllTakenBack(gate, source, names);
    },
    refresh: () => status.refresh(),
    stop: () => status.stop(),
  };
}
