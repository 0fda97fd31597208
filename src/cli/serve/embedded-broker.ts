import { resolve } from 'node:path';
import { openAedesBroker } from '../../broker-auth/adapters/aedes/aedes-broker.ts';
import { parseGuard, provingListeners } from '../../broker-auth/guard/parse-guard.ts';
import type { TrustedNamespace } from '../../broker-auth/policy.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { givenTlsIdentity } from '../../server/given-certificate.ts';
import { WEB_SOCKET_LISTENER } from '../../server/mqtt/listener-names.ts';
import { listenMqtt, type MqttListeners } from '../../server/mqtt/mqtt-listener.ts';
import { brokerPolicy, withGuests } from '../broker-auth/broker-policy.ts';
import { openGate } from '../broker-auth/open-gate.ts';
import { createRenewalTeller } from '../broker-auth/tell-renewals.ts';
import { DEFAULT_BROKER, DEFAULT_RENEWAL_TOPIC } from '../config/broker-config.ts';
import { type House, random } from '../wire.ts';
import { tlsIdentity } from './house-options.ts';
import type { HouseStatus } from './house-status.ts';

const BROKER = 'birthmark';
const DEFAULT_PORT = 8883;
const DEFAULT_WEB_SOCKET_PORT = 8884;

/**
 * The broker of a house: Aedes with the gate in it, which hears of each change of a status from the ledger itself. It lives in
 * one process, since a broker's sessions do: with workers in the one that supervises them.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid`
 */
export async function openEmbeddedBroker(house: House, status: HouseStatus): Promise<MqttListeners> {
  const { wallClock, logger, loaded, home } = house;
  const { listen, broker: section = DEFAULT_BROKER } = loaded.config;
  const policy = brokerPolicy(loaded, home, ownNamespace(house));
  const onFault = (error: unknown) =>
    logger.error({ err: error }, 'a fault of the broker; its connection is closed');
  const closers: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const step of closers.toReversed()) await step();
  };
  try {
    const { door, close: closeAedes } = await openAedesBroker({ broker: BROKER, onFault });
    closers.push(closeAedes);
    const teller = createRenewalTeller({
      desk: house.renewal,
      door,
      sessions: () => opened.gate.sessions,
      topic: section.renewalTopic ?? DEFAULT_RENEWAL_TOPIC,
      onFault: (error) => logger.error({ err: error }, 'a device could not be told when to renew'),
    });
    closers.push(() => teller.close());
    const opened = openGate({
      policy,
      guard: parseGuard(section.guard, [...policy.listeners.keys()], provingListeners(policy.listeners)),
      registry: status.registryOf('broker'),
      place: {
        gate: 'broker',
        blocksFile: resolve(home.path, 'broker.blocks.json'),
        desk: status.desk,
        sendQuarantines: (report) => status.quarantine(report),
      },
      brokers: {},
      drivers: [door.driver],
      forgetting: [],
      sources: [status.source],
      names: status.names,
      intermediates: () => status.intermediates(),
      onNameDenied: () => undefined,
      statusAgeMs: () => status.ageMs(),
      at: (file) => resolve(home.path, file),
      clock: wallClock,
      random,
      logger,
      sendSightings: (report) => status.note(report),
      onSession: (session) => teller.met(session),
    });
    closers.push(() => opened.close());
    status.watch(opened);
    door.guard(opened.gate);
    const withWebSocket = policy.listeners.has(WEB_SOCKET_LISTENER);
    const listeners = await listenMqtt({
      door,
      tls: tlsIdentity(house),
      names: serverNames(house),
      listeners: policy.listeners,
      at: {
        host: listen.mqttHost ?? listen.tlsHost,
        port: listen.mqttPort ?? DEFAULT_PORT,
        ...(withWebSocket && { webSocketPort: listen.mqttWsPort ?? DEFAULT_WEB_SOCKET_PORT }),
      },
      random,
      logger,
    });
    closers.push(() => listeners.close());
    return { addresses: listeners.addresses, close: closeInOrder(listeners, closers) };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Nobody comes in any more, then those who are there are let go, which the listeners wait for. */
function closeInOrder(listeners: MqttListeners, closers: readonly (() => Promise<void> | void)[]) {
  return async () => {
    const closed = listeners.close();
    for (const step of closers.slice(0, -1).toReversed()) await step();
    await closed;
  };
}

/** Our own root and all that stands under it. */
export function ownNamespace({
  authorities,
  loaded,
}: Pick<House, 'authorities' | 'loaded'>): TrustedNamespace {
  const all = [...authorities.values()];
  const certificates = (isRoot: boolean) =>
    all.filter((authority) => authority.isRoot === isRoot).map(({ certificate }) => certificate.raw);
  const own = {
    namespace: OWN_NAMESPACE,
    anchors: certificates(true),
    intermediates: certificates(false),
  };
  return withGuests(own, loaded.profiles);
}

function serverNames({ home, passphrase, loaded, wallClock }: House) {
  return (loaded.config.broker?.serverNames ?? []).map(({ serverName, certificateFile, keyFile }) => ({
    serverName,
    tls: givenTlsIdentity({
      certificatePath: resolve(home.path, certificateFile),
      keyPath: resolve(home.path, keyFile),
      passphrase,
      names: [serverName],
      clock: wallClock,
    }),
  }));
}
