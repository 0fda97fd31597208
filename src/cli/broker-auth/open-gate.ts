import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type AssembledGate, assembleGate } from '../../broker-auth/assemble-gate.ts';
import { createGateMetrics, type GateMetrics } from '../../broker-auth/gate-metrics.ts';
import type { GuardRules } from '../../broker-auth/guard/parse-guard.ts';
import { createKickDriver, forgettingDriver } from '../../broker-auth/kick/create-kick-driver.ts';
import type { StapledAnswers } from '../../broker-auth/ocsp/answer-source.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import type { BehaviourGuard, KickDriver } from '../../broker-auth/ports.ts';
import { reconcile } from '../../broker-auth/reconcile.ts';
import type { BrokerConfig } from '../../broker-auth/service-config.ts';
import type { Session } from '../../broker-auth/sessions.ts';
import {
  createSightingReporter,
  type SightingReport,
  type SightingReporter,
} from '../../broker-auth/sighting-reporter.ts';
import type { NameStatusSource, StatusSource } from '../../broker-auth/status-source.ts';
import type { Clock } from '../../core/clock.ts';
import type { RandomBytes } from '../../core/random.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { readInput } from '../input-file.ts';
import { type GuardPlace, openGuard } from './open-guard.ts';
import { type OpenMemory, resumed } from './session-memory.ts';

export interface OpenGateOptions {
  readonly policy: GatePolicy;
  readonly guard: GuardRules;
  /** Of the behaviour guard. */
  readonly place: GuardPlace;
  /** Where its numbers go; a registry of their own where it is not given. */
  readonly registry?: Registry;
  readonly brokers: Readonly<Record<string, BrokerConfig>>;
  /** Beside those of `brokers`: of a broker in this process. */
  readonly drivers?: readonly KickDriver[];
  /** Names of brokers that ask in the dialect of mosquitto-go-auth. */
  readonly forgetting: readonly string[];
  /** For sessions at brokers that outlive this process: not of `drivers` and `forgetting`. */
  readonly memory?: OpenMemory;
  readonly sources: readonly StatusSource[];
  readonly staples?: StapledAnswers;
  /** CA certificates that are known beside the trust, see `knownIntermediates`. */
  readonly intermediates?: () => readonly Uint8Array[];
  /** Of brokers that show a name only. */
  readonly names?: NameStatusSource;
  /** A device that shows a name only was denied for a certificate that was taken back: it may have another one since. */
  readonly onNameDenied: () => void;
  readonly statusAgeMs: () => number | undefined;
  readonly at: (file: string) => string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
  /** Where what is seen is told; to nobody where it is absent. */
  readonly sendSightings?: (report: SightingReport) => Promise<void>;
  /** Told each session that begins. */
  readonly onSession?: (session: Session) => void;
}

export interface OpenGate extends AssembledGate {
  readonly metrics: GateMetrics;
  readonly reporter: SightingReporter;
  /** For adapters whose broker is not asked about each act. */
  readonly guard: BehaviourGuard;
  close(): Promise<void>;
}

const TICK_MS = 1000;
const RECONCILE_MS = 30_000;
/** Longer than any ClientId that a rule allows; a stranger's may have 64 KiB. */
const LOGGED_LENGTH = 512;

/** The gate of a process with its drivers, its numbers and its log, at work. */
export function openGate(options: OpenGateOptions): OpenGate {
  const { policy, sources, staples, names, clock, random, logger, memory } = options;
  const fleeting = new Set([...(options.drivers ?? []).map(({ broker }) => broker), ...options.forgetting]);
  const drivers = [
    ...(options.drivers ?? []),
    ...Object.entries(options.brokers).map(([name, config]) => driverOf(name, config, options)),
    ...options.forgetting.filter((name) => !(name in options.brokers)).map(forgettingDriver),
  ];
  const endable = new Set(drivers.map(({ broker }) => broker));
  const metrics = createGateMetrics({
    sessions: () => countBy(gate.sessions.values(), ({ broker }) => broker),
    statusAgeMs: options.statusAgeMs,
    ...(options.registry && { registry: options.registry }),
  });
  const opened = openGuard({
    ...options.place,
    rules: options.guard,
    gateOf: () => gate,
    ...{ source: worstOf(sources), metrics, clock, logger },
  });
  const { guard } = opened;
  const { gate, enforcer } = assembleGate({
    policy,
    ...(options.intermediates && { intermediates: options.intermediates }),
    sources,
    ...(staples && { staples }),
    ...(names && { names }),
    drivers,
    clock,
    random,
    guard,
    ...(memory && {
      memory: {
        begun: (kept) => {
          if (!fleeting.has(kept.session.broker)) memory.journal.begun(kept);
        },
        ended: (session) => memory.journal.ended(session),
      },
    }),
    onVerdict: (attempt, verdict, tookMs) => {
      metrics.observe(attempt, verdict, tookMs);
      const { broker, listener, clientId, address } = attempt;
      const { identity, credential, status } = verdict;
      const facts = {
        ...{ broker, listener, clientId: clientId.slice(0, LOGGED_LENGTH), address },
        ...(identity && { device: `${identity.namespace}:${identity.id}` }),
        ...(credential && { issuerKeyId: credential.issuerKeyId, serial: credential.serial }),
        ...(status && { status }),
      };
      if (verdict.allow) {
        logger.debug(facts, 'let in');
        if (!endable.has(broker)) {
          endable.add(broker);
          logger.warn(
            { broker },
            `NOTHING ENDS A SESSION at ${broker}: name its management API in [brokers]`,
          );
        }
        const session = gate.sessions.get(attempt);
        if (session) {
          reporter.seen(session);
          options.onSession?.(session);
        }
        return;
      }
      if (credential && verdict.reason === 'revoked') reporter.refused(credential, listener);
      if (attempt.evidence.level === 'name' && verdict.reason === 'revoked') options.onNameDenied();
      logger.info({ ...facts, reason: verdict.reason, rule: verdict.detail }, 'denied');
    },
    onEnded: (ended, cause) => {
      metrics.ended(ended.length, cause);
      logger.info({ cause, sessions: ended.length, first: ended[0]?.clientId }, 'ended sessions');
      reporter.tick();
    },
    onError: (error, broker, sessions) => {
      metrics.kickFailed(broker);
      logger.error({ err: error, broker, sessions }, 'sessions are not ended yet; it is tried again');
    },
  });
  const reporter = createSightingReporter({
    gate,
    send: options.sendSightings ?? (async () => undefined),
    resightMs: policy.resightMs,
    clock,
    onFault: (error) => logger.warn({ err: error }, 'what was seen could not be told; it is told again'),
  });
  const compare = (driver: KickDriver) => {
    reconcile(gate, driver, clock).catch((error: unknown) =>
      logger.warn({ err: error, broker: driver.broker }, 'the list of sessions could not be had'),
    );
  };
  if (memory) {
    const { sessions, sameRules } = memory.remembered;
    for (const kept of sessions)
      if (!fleeting.has(kept.session.broker)) gate.restore(resumed(kept, sameRules, clock()));
    for (const driver of drivers) if (!fleeting.has(driver.broker)) compare(driver);
  }
  const timers = [
    setInterval(() => {
      gate.tick();
      opened.tick();
      reporter.tick();
    }, TICK_MS),
    ...drivers.map((driver) => setInterval(compare, RECONCILE_MS, driver)),
  ];
  return {
    gate,
    enforcer,
    metrics,
    reporter,
    guard,
    async close() {
      for (const timer of timers) clearInterval(timer);
      enforcer.stop();
      await reporter.stop();
      await opened.close();
      await memory?.journal.stop();
    },
  };
}

/** Of several words on a certificate the one that is not good, where there is one. */
function worstOf(sources: readonly StatusSource[]): Pick<StatusSource, 'statusOf'> {
  return {
    statusOf(id) {
      const all = sources.flatMap((source) => source.statusOf(id) ?? []);
      return all.find(({ status }) => status !== 'good') ?? all[0];
    },
  };
}

function driverOf(name: string, config: BrokerConfig, { at, clock }: OpenGateOptions): KickDriver {
  const { passwordFile, caFile } = config;
  const credentials = {
    password: readSecretFile(at(passwordFile)).trim(),
    ...(caFile !== undefined && {
      ca: readInput(at(caFile), { code: 'config-invalid' }).toString('latin1'),
    }),
  };
  return createKickDriver(name, config, credentials, clock);
}

function countBy<T>(items: Iterable<T>, keyOf: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
