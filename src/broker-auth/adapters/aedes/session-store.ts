import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Aedes } from 'aedes';

/** What of Aedes' persistence is needed to make it forget a client. Its types leave it out. */
interface Persistence {
  cleanSubscriptions(client: StoredClient): Promise<unknown>;
  outgoingStream(client: StoredClient): Readable;
  outgoingClearMessageId(client: StoredClient, packet: unknown): Promise<unknown>;
  outgoingUpdate(client: StoredClient, packet: unknown): Promise<unknown>;
  delWill(client: StoredClient): Promise<unknown>;
  storeRetained(packet: { readonly topic: string; readonly payload: Buffer }): Promise<unknown>;
  subscriptionsByTopic(topic: string): Promise<readonly unknown[]>;
  /** Newer ones have it. */
  cleanIncoming?(client: StoredClient): Promise<unknown>;
}

interface StoredClient {
  readonly id: string;
}

/**
 * Removes what a broker keeps for a client and of it: subscriptions, messages that wait for it, its will, and the retained
 * messages of these topics.
 */
export async function forgetClient(aedes: Aedes, id: string, retained: Iterable<string>): Promise<void> {
  const persistence = persistenceOf(aedes);
  const client = { id };
  await persistence.cleanSubscriptions(client);
  await persistence.delWill(client);
  await persistence.cleanIncoming?.(client);
  const waiting = persistence.outgoingStream(client);
  waiting.on('data', (packet: unknown) => {
    persistence
      .outgoingClearMessageId(client, packet)
      .catch((error: unknown) => waiting.destroy(toError(error)));
  });
  await finished(waiting);
  for (const topic of retained) await persistence.storeRetained({ topic, payload: Buffer.alloc(0) });
}

/** What its persistence says of a message that waits for nobody any more. */
const ANSWERED = 'no such packet';

/**
 * Keeps a connection that takes a session over (MQTT 3.1.1 §3.1.4) alive where a message that waited was answered over the old
 * connection in the same moment: Aedes takes that for an error of the new one, and closes it, so that a device that goes over to
 * a new credential would lose its place now and then. The message comes once more, as QoS 1 allows.
 */
export function forgiveAnswered(aedes: Aedes): void {
  const persistence = persistenceOf(aedes);
  const update = persistence.outgoingUpdate.bind(persistence);
  persistence.outgoingUpdate = (client, packet) =>
    update(client, packet).catch((error: unknown) => {
      if (toError(error).message !== ANSWERED) throw error;
    });
}

/** Whether a message waits for somebody who has subscribed and is away; of QoS 0 none does. */
export async function hasStoredSubscriber(aedes: Aedes, topic: string): Promise<boolean> {
  return (await persistenceOf(aedes).subscriptionsByTopic(topic)).length > 0;
}

const METHODS = [
  'cleanSubscriptions',
  'outgoingStream',
  'outgoingClearMessageId',
  'outgoingUpdate',
  'delWill',
  'storeRetained',
  'subscriptionsByTopic',
];

function persistenceOf(aedes: Aedes): Persistence {
  const persistence: unknown = Reflect.get(aedes, 'persistence');
  if (
    typeof persistence !== 'object' ||
    persistence === null ||
    METHODS.some((name) => !(name in persistence))
  )
    throw new Error('this Aedes has no persistence as version 1 has it: it listens first (createBroker)');
  return persistence as Persistence;
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
