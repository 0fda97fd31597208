import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { DeniedSource } from '../../broker-auth/denied-entry.ts';
import { createBlockDesk, type GateDesk } from '../../broker-auth/guard/block-desk.ts';
import type { QuarantineReport, QuarantineResult } from '../../broker-auth/guard/quarantine-reporter.ts';
import { joinMetrics } from '../../broker-auth/join-metrics.ts';
import type { SightingReport } from '../../broker-auth/sighting-reporter.ts';
import { deniedChanges, deniedSource } from '../../broker-auth/status/denied-source.ts';
import { knownIntermediates } from '../../broker-auth/status/known-intermediates.ts';
import {
  endAllTakenBack,
  endTakenBack,
  nameSource,
  tableSource,
} from '../../broker-auth/status/table-source.ts';
import type { NameStatusSource, StatusSource } from '../../broker-auth/status-source.ts';
import { noteSightings } from '../../fleet/note-sightings.ts';
import { createQuarantineDesk } from '../../fleet/quarantine-desk.ts';
import { followLedger } from '../../server/mqtt/ledger-status.ts';
import type { OpenGate } from '../broker-auth/open-gate.ts';
import type { DeniedWatcher } from '../broker-auth/open-mosquitto.ts';
import type { House } from '../wire.ts';

/** What the house knows of statuses, for all gates of this process. */
export interface HouseStatus {
  readonly source: StatusSource;
  readonly names: NameStatusSource;
  readonly denied: DeniedSource;
  /** CA certificates of this house, of generations that came since too. */
  intermediates(): readonly Uint8Array[];
  /** Undefined until all was read: then nothing is known, and who must know denies. */
  ageMs(): number | undefined;
  /** A device was denied by its name: it may have another certificate by now. */
  refresh(): void;
  /** From now on it is told what to end. */
  watch(open: OpenGate): void;
  /** From now on it is told what is denied. */
  tell(watcher: DeniedWatcher): void;
  /** Keeps what a gate of this process saw. */
  note(report: SightingReport): Promise<void>;
  /** Puts on hold what a gate of this process quarantines. */
  quarantine(report: QuarantineReport): Promise<readonly QuarantineResult[]>;
  /** Whom the gates of this process restrain. */
  readonly desk: GateDesk;
  /** For the numbers of a gate, which have its name as a label. */
  registryOf(gate: string): Registry;
  /** The numbers of all gates of this process. */
  readonly gateMetrics: ReturnType<typeof joinMetrics>;
  stop(): Promise<void>;
}

/** A start waits so long for it; with very many revocations it goes on in the background. */
const FIRST_READ_MS = 500;

/** Reads all that is not good from the ledger, and follows it. */
export async function openHouseStatus(house: House): Promise<HouseStatus> {
  const { ledger, authorities, roster, metrics, tail, issuing, uses, office } = house;
  const { wallClock, steady, logger } = house;
  const quarantine = createQuarantineDesk({ ...house, clock: wallClock });
  const gates = new Set<OpenGate>();
  const watchers = new Set<DeniedWatcher>();
  const status = followLedger({
    ledger: ledger.read,
    authorities,
    look: () => roster.look(),
    tail,
    holders: true,
    clock: wallClock,
    onChange: (change) => {
      for (const watcher of watchers) watcher.changed(deniedChanges(change));
      for (const { gate, reporter } of gates) endTakenBack(gate, change, reporter);
    },
    onReplaced: () => {
      for (const watcher of watchers) watcher.reloaded();
      for (const { gate } of gates) endAllTakenBack(gate, source, names);
    },
    onFault: (error) => logger.error({ err: error }, 'the gate cannot see the ledger; it tries again'),
  });
  const source = tableSource(() => status.known(), steady);
  const names = nameSource(() => status.known(), steady);
  await Promise.race([status.read, sleep(FIRST_READ_MS)]);
  return {
    source,
    names,
    denied: deniedSource(() => status.known(), wallClock, steady),
    intermediates: knownIntermediates(() => status.known()),
    ageMs: () => status.known()?.table.ageMs(steady.now()),
    watch: (open) => {
      gates.add(open);
      endAllTakenBack(open.gate, source, names);
    },
    tell: (watcher) => void watchers.add(watcher),
    note: async ({ seen, enforced, refused }) => {
      const timed = <T extends { readonly at: string }>(one: T) => ({ ...one, at: Date.parse(one.at) });
      const noted = { seen: seen.map(timed), enforced: enforced.map(timed), refused: refused.map(timed) };
      const { idevidProfiles } = issuing;
      // During an act on many the one that writes it writes this too, in fewer and larger transactions.
      if (office?.isOpen()) await office.note(noted, 'system');
      else
        await noteSightings({ ledger, authorities, uses, idevidProfiles, clock: wallClock }, noted, 'system');
    },
    quarantine: ({ devices }) => quarantine(devices, 'system'),
    desk: createBlockDesk(wallClock),
    registryOf(gate) {
      const registry = new Registry();
      registry.setDefaultLabels({ gate });
      metrics.gates.add(registry);
      return registry;
    },
    gateMetrics: joinMetrics(metrics.gates),
    refresh: () => status.refresh(),
    stop: () => status.stop(),
  };
}
