import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type MqttClient } from 'mqtt';
import { type Credential, type EnrollmentPlace, enrollWith } from './credential.ts';

/** CONNACK of MQTT 3.1.1 §3.2.2.3: not authorized. */
const NOT_AUTHORIZED = 5;
const AGAIN_MS = 20;
const TRIES = 200;
const ANSWER_MS = 3000;

/** What the broker retains for each device. */
interface RenewalNotice {
  readonly serial: string;
  readonly suggestedWindow: { readonly start: string };
}

/** Where devices are at home. */
export interface Place extends EnrollmentPlace {
  readonly mqtt: string;
}

/** A device as its firmware would behave: it keeps a session, comes again when it lost it, renews when it is told to. */
export interface Device {
  readonly name: string;
  readonly batch: string;
  /** What it connects with. */
  readonly credential: Credential | undefined;
  readonly connected: boolean;
  /** How often its session ended without its doing. */
  readonly lost: number;
  /** How often it came back by its IDevID, with a new key. */
  readonly recovered: number;
  /** How often it renewed what it had. */
  readonly renewed: number;
  /** Messages that it was sent. */
  readonly received: ReadonlySet<string>;
  /** Enrolls by its IDevID and connects. */
  join(): Promise<void>;
  /** Sends something to its own topic. Returns whether the broker took it. */
  tell(text: string): Promise<boolean>;
  /** Pulls the plug; `join` plugs it in again. */
  switchOff(): void;
}

export interface DeviceOptions {
  readonly name: string;
  readonly batch: string;
  /** It was born with it. */
  readonly idevid: Credential;
  readonly place: Place;
  readonly onFault: (error: unknown) => void;
}

export function createDevice({ name, batch, idevid, place, onFault }: DeviceOptions): Device {
  let credential: Credential | undefined;
  let client: MqttClient | undefined;
  let isOn = false;
  let renewing = false;
  const counts = { lost: 0, recovered: 0, renewed: 0 };
  const received = new Set<string>();

  /** A client of one connection: what it becomes of it is told to `lose`. */
  async function open(by: Credential): Promise<void> {
    const opened = await openSession(name, by, place, (topic, text) => {
      if (topic.endsWith('/renewal')) renew(text).catch(onFault);
      else received.add(text);
    });
    const before = client;
    client = opened;
    credential = by;
    // The broker has taken the session over by now; the old connection is nobody's.
    before?.removeAllListeners('close').end(true);
    opened.once('close', () => {
      if (client === opened) lose().catch(onFault);
    });
    await opened.subscribeAsync(`devices/${name}/#`, { qos: 1 });
  }

  async function lose(): Promise<void> {
    // On the way over to a new credential the broker ends the old connection, sooner or later than it is left.
    if (renewing) return;
    client = undefined;
    if (!isOn) return;
    counts.lost += 1;
    await comeBack();
  }

  /** With what it has; where that is not taken any more, by what it was born with. */
  async function comeBack(): Promise<void> {
    for (let tries = 0; isOn && !client && tries < TRIES; tries += 1) {
      try {
        await open(credential ?? (await enrollWith(idevid, place)));
      } catch (error) {
        if (codeOf(error) === NOT_AUTHORIZED && credential) {
          credential = undefined;
          counts.recovered += 1;
        } else await sleep(AGAIN_MS);
      }
    }
  }

  /** Asked to renew: a new key, and over to it once it works. The old credential is kept until then. */
  async function renew(told: string): Promise<void> {
    const { serial, suggestedWindow }: RenewalNotice = JSON.parse(told);
    // What was left there for the one before says nothing of this one.
    if (renewing || credential?.serial !== serial || Date.parse(suggestedWindow.start) > Date.now()) return;
    renewing = true;
    try {
      await open(await enrollWith(credential, place));
      counts.renewed += 1;
    } finally {
      renewing = false;
      if (!client?.connected) await lose();
    }
  }

  return {
    name,
    batch,
    received,
    get credential() {
      return credential;
    },
    get connected() {
      return client?.connected ?? false;
    },
    get lost() {
      return counts.lost;
    },
    get recovered() {
      return counts.recovered;
    },
    get renewed() {
      return counts.renewed;
    },
    async join() {
      isOn = true;
      await comeBack();
      if (!client) throw new Error(`${name} could not join`);
    },
    async tell(text) {
      const by = client;
      if (!by) return false;
      // Where the session goes over to a new connection meanwhile, the old one never says whether it was taken.
      const taken = by.publishAsync(`devices/${name}/up`, text, { qos: 1 }).then(() => true);
      return Promise.race([taken, sleep(ANSWER_MS).then(() => false)]).catch(() => false);
    },
    switchOff() {
      isOn = false;
      client?.end(true);
      client = undefined;
    },
  };
}

/**
 * A session that outlives its connections (MQTT 3.1.1 §3.1.2.4), so that nothing that is sent meanwhile is lost.
 *
 * @throws what the broker answered, with its code
 */
export async function openSession(
  name: string,
  { cert, key }: Credential,
  { mqtt, ca }: Place,
  onMessage: (topic: string, text: string) => void = () => undefined,
): Promise<MqttClient> {
  const client = connect(mqtt, { clientId: name, clean: false, ca, cert, key, reconnectPeriod: 0 });
  // What waited comes with the CONNACK.
  client.on('message', (topic, payload) => onMessage(topic, payload.toString()));
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error('the connection was closed')));
  });
  client.on('error', () => undefined);
  return client;
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
