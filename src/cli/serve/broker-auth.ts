import { resolve } from 'node:path';
import { parseGuard, provingListeners } from '../../broker-auth/guard/parse-guard.ts';
import { mountDialects } from '../../broker-auth/mount-dialects.ts';
import { parsePolicy } from '../../broker-auth/parse-policy.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { forgettingBrokers } from '../broker-auth/forgetting-brokers.ts';
import { createLateDriver } from '../broker-auth/late-driver.ts';
import { type GateListener, listenGate } from '../broker-auth/listen-gate.ts';
import { openGate } from '../broker-auth/open-gate.ts';
import { openMosquitto } from '../broker-auth/open-mosquitto.ts';
import { readTrust } from '../broker-auth/read-trust.ts';
import { readiness, withParts } from '../broker-auth/readiness.ts';
import { openSessionMemory } from '../broker-auth/session-memory.ts';
import type { BrokerAuthSection } from '../config/broker-auth-config.ts';
import { type House, random } from '../wire.ts';
import { ownNamespace } from './embedded-broker.ts';
import type { HouseStatus } from './house-status.ts';

/** In the home: what is live at other people's brokers. */
const SESSIONS_FILE = 'broker-sessions.ndjson';

/**
 * The listener where other people's brokers ask a house that serves. It knows the house's own statuses, and lives in one
 * process, since sessions do: with workers in the one that supervises them.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`, `key-file-permissions`, `key-file-unreadable`
 */
export async function openBrokerAuth(
  house: House,
  section: BrokerAuthSection,
  status: HouseStatus,
): Promise<GateListener> {
  const { wallClock: clock, logger, home } = house;
  const { listen, http, mosquitto: mosquittoConfig, brokers = {}, guard, trust = [], ...rules } = section;
  const at = (file: string) => resolve(home.path, file);
  const policy = parsePolicy(rules, [ownNamespace(house), ...readTrust(trust, at)]);
  const driver = mosquittoConfig && createLateDriver(mosquittoConfig.broker ?? 'mosquitto');
  const open = openGate({
    policy,
    ...(driver && { drivers: [driver] }),
    guard: parseGuard(guard, [...policy.listeners.keys()], provingListeners(policy.listeners)),
    registry: status.registryOf('brokerAuth'),
    place: {
      gate: 'brokerAuth',
      blocksFile: at('broker-auth.blocks.json'),
      desk: status.desk,
      sendQuarantines: (report) => status.quarantine(report),
    },
    brokers,
    forgetting: forgettingBrokers(http),
    memory: await openSessionMemory(at(SESSIONS_FILE), policy, logger),
    sources: [status.source],
    names: status.names,
    intermediates: () => status.intermediates(),
    onNameDenied: () => status.refresh(),
    statusAgeMs: () => status.ageMs(),
    at,
    clock,
    random,
    logger,
    sendSightings: (report) => status.note(report),
  });
  const { gate } = open;
  const closers = [() => open.close()];
  const close = async () => {
    for (const step of closers) await step();
  };
  try {
    status.watch(open);
    const mosquitto =
      mosquittoConfig &&
      driver &&
      (await openMosquitto({
        ...{ config: mosquittoConfig, policy, open, driver, at, clock, logger },
        source: status.denied,
        intermediates: () => status.intermediates(),
        watch: (watcher) => status.tell(watcher),
      }));
    if (mosquitto) closers.push(() => mosquitto.close());
    const dialects = mountDialects(http, {
      gate,
      clock,
      secretOf: (file) => readSecretFile(at(file)).trim(),
    });
    const listener = await listenGate({
      listen,
      dialects,
      readiness: () =>
        withParts(readiness(policy, { connected: true, ageMs: status.ageMs() }), {
          ...(mosquitto && { mosquitto: mosquitto.facts() }),
        }),
      metrics: status.gateMetrics,
      logger,
      clock,
      at,
    });
    return {
      address: listener.address,
      close: async () => {
        await listener.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
