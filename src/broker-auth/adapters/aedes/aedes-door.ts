import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Aedes, AedesOptions, Client } from 'aedes';
import { createCertificateReader, type ShownCertificates } from '../../../core/shown-certificates.ts';
import type { DenialReason } from '../../decide.ts';
import type { Evidence } from '../../evidence.ts';
import type { Gate } from '../../gate.ts';
import { connackCodes } from '../../mqtt-codes.ts';
import type { EndCause, KickDriver } from '../../ports.ts';
import type { Session } from '../../sessions.ts';
import { mayPublish, type Permissions } from '../../topic-rules.ts';
import { isClean, unfinishedOctets } from './client-facts.ts';
import { forgetClient, forgiveAnswered, hasStoredSubscriber } from './session-store.ts';

export interface AedesDoorOptions {
  readonly aedes: Aedes;
  /** As sessions name this broker. */
  readonly broker?: string;
  /** Told of what should not happen; the connection that it happened to is closed. */
  readonly onFault: (error: unknown) => void;
}

/** What stands between Aedes and its clients. Nothing is allowed before `guard`. */
export interface AedesDoor {
  readonly driver: KickDriver;
  guard(gate: Gate): void;
  /** Leaves a message of the broker itself on a topic, for whoever may receive it. No client may publish to that topic from then on. */
  retain(topic: string, payload: string): Promise<void>;
  /**
   * Reads what a client of a TLS listener shows: to be called when a handshake is done (`secureConnection`), by those who
   * speak WebSocket over it; `accept` does it itself.
   */
  meet(socket: Socket): void;
  /**
   * Lets a client speak MQTT.
   *
   * @param listener as the policy names it
   * @param stream the connection, or what a WebSocket carries
   * @param request of the WebSocket
   */
  accept(listener: string, stream: Duplex, request?: IncomingMessage): void;
}

/** A CONNECT is a few hundred octets, beside a handshake with its certificates; before it, nobody may send more. */
const MAX_BEFORE_CONNECT = 256 * 1024;
/** A packet stands in memory until it is whole, and MQTT allows 256 MiB (MQTT 3.1.1 §2.2.3). */
const MAX_PACKET = 1024 * 1024;
/** For a close that Aedes does not finish. */
const CLOSE_WITHIN_MS = 1000;
const SYSTEM_TOPICS = '$SYS/';
/** Who is put out for these has no last word: a will would be another message of the thief's. */
const WITHOUT_WILL: readonly EndCause[] = ['compromised', 'revoked', 'held', 'quarantined', 'blocked'];

interface Arrival {
  readonly listener: string;
  readonly socket: Socket | undefined;
  gone: boolean;
}

interface Admitted {
  readonly session: Session;
  readonly permissions: Permissions;
  endedFor?: EndCause;
}

/**
 * Puts the gate into an Aedes (MQTT 3.1 and 3.1.1). Each CONNECT is judged by the certificate that its connection showed, on
 * resumed sessions too; each topic by the rules that went with that verdict.
 */
export function createAedesDoor({ aedes, broker = 'aedes', onFault }: AedesDoorOptions): AedesDoor {
  let gate: Gate | undefined;
  const readCertificates = createCertificateReader();
  const shown = new WeakMap<Socket, ShownCertificates>();
  const arrivals = new WeakMap<Client, Arrival>();
  const admitted = new WeakMap<Client, Admitted>();
  const clients = new Map<Session, Client>();
  /** Whose retained messages are there, as far as they went through here. */
  const retainedBy = new Map<string, string>();
  /** Topics on which the broker itself speaks: there who reads believes it, and a thief has the rights of his device. */
  const own = new Set<string>();
  /** Payloads that somebody got: Aedes copies a packet for its way, but not what is in it. */
  const delivered = new WeakSet<object>();

  const meet = (socket: Socket) => {
    const certificates = socket instanceof TLSSocket ? readCertificates(socket) : undefined;
    if (certificates) shown.set(socket, certificates);
  };

  const authenticate: AedesOptions['authenticate'] = (client, _username, _password, done) => {
    try {
      const arrival = arrivals.get(client);
      if (!gate || !arrival || arrival.gone) {
        done(refusal('statusUnknown', 'the gate is not open'), null);
        return;
      }
      const { listener, socket } = arrival;
      const verdict = gate.connect({
        broker,
        listener,
        clientId: client.id,
        evidence: evidenceOf(socket && shown.get(socket)),
        address: addressOf(socket),
        asksOfEachAct: true,
      });
      if (!verdict.allow) {
        done(refusal(verdict.reason, verdict.detail), null);
        return;
      }
      const { session, permissions } = verdict;
      admitted.set(client, { session, permissions });
      clients.set(session, client);
      done(null, true);
    } catch (error) {
      onFault(error);
      done(refusal('statusUnknown', 'a fault of the gate'), null);
    }
  };

  /** Whether the client is the one that its session is live with: one that was taken over says no more. */
  const may = (client: Client, act: 'publish' | 'subscribe' | 'receive', topic: string): boolean => {
    const session = admitted.get(client)?.session;
    return (
      session !== undefined && gate?.sessions.get(session) === session && gate.mayAct(session, act, topic)
    );
  };

  const mayLeaveWill = (client: Client, topic: string): boolean => {
    const known = admitted.get(client);
    if (!known || (known.endedFor && WITHOUT_WILL.includes(known.endedFor))) return false;
    return mayPublish(known.permissions, topic);
  };

  const authorizePublish: AedesOptions['authorizePublish'] = (client, packet, done) => {
    const { topic } = packet;
    // Of a client that is closed nothing but its will comes. Without a client: a will that another broker left behind.
    const allowed =
      client !== null &&
      !topic.startsWith(SYSTEM_TOPICS) &&
      !own.has(topic) &&
      (client.closed ? mayLeaveWill(client, topic) : may(client, 'publish', topic));
    if (!allowed) {
      done(new Error(`publishing to ${JSON.stringify(topic)} is denied`));
      return;
    }
    const session = admitted.get(client)?.session;
    if (packet.retain && session) {
      if (packet.payload.length === 0) retainedBy.delete(topic);
      else retainedBy.set(topic, ownerOf(session));
    }
    done(null);
  };

  forgiveAnswered(aedes);
  aedes.authenticate = authenticate;
  aedes.authorizePublish = authorizePublish;
  aedes.authorizeSubscribe = (client, subscription, done) => {
    // Null is 0x80 in the SUBACK (MQTT 3.1.1 §3.9.3).
    done(null, may(client, 'subscribe', subscription.topic) ? subscription : null);
  };
  aedes.authorizeForward = (client, packet) => {
    if (!may(client, 'receive', packet.topic)) return null;
    if (typeof packet.payload === 'object') delivered.add(packet.payload);
    return packet;
  };
  aedes.published = (packet, client, done) => {
    done();
    const session = client && admitted.get(client)?.session;
    const { topic, payload, qos, retain } = packet;
    if (!session || retain || !gate?.watches('undeliverable', session.listener)) return;
    if (typeof payload === 'object' && delivered.has(payload)) return;
    lookForReaders(session, topic, qos).catch(onFault);
  };

  /** What waits for somebody who is away will reach him. */
  async function lookForReaders(session: Session, topic: string, qos: number): Promise<void> {
    if (qos === 0 || !(await hasStoredSubscriber(aedes, topic))) gate?.saw(session, 'undeliverable', topic);
  }

  const leave = (client: Client, arrival: Arrival) => {
    arrival.gone = true;
    const known = admitted.get(client);
    if (!known) return;
    clients.delete(known.session);
    gate?.disconnected(
      known.session,
      isClean(client) || known.endedFor ? 'clean' : 'abnormal',
      known.session,
    );
  };

  const end = async (session: Session, cause: EndCause): Promise<void> => {
    const client = clients.get(session);
    const known = client && admitted.get(client);
    if (known) {
      known.endedFor = cause;
      await closeClient(client);
    }
    if (cause !== 'compromised') return;
    const owner = ownerOf(session);
    const topics = [...retainedBy].flatMap(([topic, by]) => (by === owner ? [topic] : []));
    await forgetClient(aedes, session.clientId, topics);
    for (const topic of topics) retainedBy.delete(topic);
  };

  return {
    driver: {
      broker,
      async kick(sessions, cause) {
        await Promise.all(sessions.map((session) => end(session, cause)));
      },
      stillLive: async (sessions) =>
        sessions.filter((session) => clients.get(session)?.conn.destroyed === false),
    },
    guard: (opened) => {
      gate = opened;
    },
    retain: (topic, payload) =>
      new Promise((resolve, reject) => {
        const message = { cmd: 'publish', qos: 0, dup: false, retain: true } as const;
        own.add(topic);
        aedes.publish({ ...message, topic, payload }, (error) => (error ? reject(error) : resolve()));
      }),
    meet,
    accept(listener, stream, request) {
      const socket = request?.socket ?? (isSocket(stream) ? stream : undefined);
      if (socket && !request) meet(socket);
      const client = aedes.handle(stream, request);
      const arrival: Arrival = { listener, socket, gone: stream.destroyed };
      arrivals.set(client, arrival);
      stream.once('close', () => leave(client, arrival));
      stream.prependListener('readable', () => {
        const isStranger = socket !== undefined && !admitted.has(client);
        if (isStranger && socket.bytesRead > MAX_BEFORE_CONNECT) stream.destroy();
        else if (unfinishedOctets(client) > MAX_PACKET) stream.destroy();
      });
    },
  };
}

function evidenceOf(certificates: ShownCertificates | undefined): Evidence {
  return certificates ? { level: 'certificate', ...certificates } : { level: 'none' };
}

/** IPv4 as itself where the listener takes both. */
function addressOf(socket: Socket | undefined): string {
  return (socket?.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}

function ownerOf({ identity: { namespace, id } }: Session): string {
  return `${namespace}\n${id}`;
}

function isSocket(stream: Duplex): stream is Socket {
  return 'remoteAddress' in stream && 'bytesRead' in stream;
}

function refusal(reason: DenialReason, detail: string) {
  return Object.assign(new Error(detail), { returnCode: connackCodes(reason).v3 });
}

function closeClient(client: Client): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      client.conn.destroy();
      resolve();
    }, CLOSE_WITHIN_MS);
    client.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
