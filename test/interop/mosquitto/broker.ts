// A real Mosquitto with our plugin, and our adapter's writer beside it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { openSigningKey } from '../../../src/broker-auth/adapters/mosquitto/signing-key.ts';
import { primitive, sequence } from '../../../src/x509/der/encode.ts';
import { extension } from '../../../src/x509/extensions.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { type Authorities, makeAuthorities, NOW } from '../../broker-auth/mosquitto/party.ts';
import { makeCertificate, type Party } from '../../x509/path/make-certificate.ts';
import { freePort } from '../free-port.ts';

const MOSQUITTO = '/usr/sbin/mosquitto';
export const hasMosquitto = existsSync(MOSQUITTO);

export interface BrokerOptions {
  /** Path of the plugin; none where it is absent. */
  readonly plugin?: string;
  /** More lines of its configuration. */
  readonly config?: string | ((folder: string, authorities: Authorities) => string);
  readonly pluginOptions?: Readonly<Record<string, string>>;
  /** Words in front of the program: valgrind. */
  readonly under?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly authorities?: Authorities;
}

/** How a connection went: MQTT 5 reason codes, or what TLS said. */
export type Attempt =
  | { readonly client: MqttClient; readonly ended: Promise<number> }
  | { readonly refused: number | string };

export interface Broker {
  readonly folder: string;
  readonly port: number;
  readonly authorities: Authorities;
  /** Of the gate; there when the broker starts. */
  readonly keyFile: string;
  readonly snapshot: string;
  readonly events: string;
  pid(): number;
  /** Paths of a party's certificate and key. */
  files(name: string, party: Party): { readonly cert: string; readonly key: string };
  connect(party: Party, clientId: string, options?: IClientOptions): Promise<Attempt>;
  signal(signal: NodeJS.Signals): void;
  log(): string;
  /** Resolves with its exit code. */
  readonly exited: Promise<number | null>;
  /** Until the log has it. */
  logged(text: string | RegExp, withinMs?: number): Promise<void>;
  stop(): Promise<number | null>;
}

/** Starts it and waits until it listens, or has ended. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const {
    plugin,
    config = '',
    pluginOptions = {},
    under = [],
    env,
    authorities = makeAuthorities(),
  } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-mosquitto-'));
  mkdirSync(path.join(folder, 'gate'));
  const write = (name: string, content: string | Uint8Array) => {
    const file = path.join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  await openSigningKey(path.join(folder, 'gate', 'key'));
  const server = makeCertificate({
    cn: '127.0.0.1',
    issuer: authorities.root,
    purposes: ['1.3.6.1.5.5.7.3.1'],
    extra: [extension('2.5.29.17', false, sequence(primitive(0x87, Buffer.from([127, 0, 0, 1]))))],
    fields: { notBefore: NOW - 3_600_000, notAfter: NOW + 86_400_000 },
  });
  const { root, issuing, other } = authorities;
  const port = await freePort();
  const snapshot = path.join(folder, 'gate', 'snapshot');
  const events = path.join(folder, 'gate', 'events');
  const conf = path.join(folder, 'mosquitto.conf');
  const all = {
    snapshot,
    key: path.join(folder, 'gate', 'key.pub'),
    config: conf,
    events,
    ...pluginOptions,
  };
  write(
    'mosquitto.conf',
    [
      'user root',
      'log_dest stderr',
      'log_type all',
      'connection_messages true',
      `listener ${port} 127.0.0.1`,
      // Other CAs too, as brokers have that are not ours alone: the plugin must tell them apart.
      `cafile ${write('ca.pem', [root, issuing, other].map(({ der }) => toPem('CERTIFICATE', der)).join(''))}`,
      `certfile ${write('server.pem', toPem('CERTIFICATE', server.der))}`,
      `keyfile ${write('server.key', server.key.privateKey.export({ format: 'pem', type: 'pkcs8' }))}`,
      'require_certificate true',
      'allow_anonymous false',
      ...(plugin === undefined ? [] : [`plugin ${plugin}`]),
      ...(plugin === undefined
        ? []
        : Object.entries(all).map(([name, value]) => `plugin_opt_${name} ${value}`)),
      typeof config === 'string' ? config : config(folder, authorities),
      '',
    ].join('\n'),
  );
  const [program = MOSQUITTO, ...words] = [...under, MOSQUITTO, '-c', conf];
  const child: ChildProcess = spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.on('data', (text: Buffer) => {
    log += text.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const clients = new Set<MqttClient>();

  const broker: Broker = {
    folder,
    port,
    authorities,
    keyFile: path.join(folder, 'gate', 'key'),
    snapshot,
    events,
    exited,
    pid: () => child.pid ?? 0,
    files: (name, party) => ({
      cert: write(`${name}.pem`, toPem('CERTIFICATE', party.der)),
      key: write(`${name}.key`, party.key.privateKey.export({ format: 'pem', type: 'pkcs8' })),
    }),
    connect: (party, clientId, more = {}) => {
      const all: IClientOptions = {
        protocol: 'mqtts',
        host: '127.0.0.1',
        port,
        clientId,
        protocolVersion: 5,
        ca: [toPem('CERTIFICATE', root.der)],
        cert: toPem('CERTIFICATE', party.der),
        key: party.key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        reconnectPeriod: 0,
        connectTimeout: 10_000,
        ...more,
      };
      const client = connect(all);
      clients.add(client);
      return attempt(client);
    },
    signal: (signal) => {
      child.kill(signal);
    },
    log: () => log,
    logged: async (text, withinMs = 10_000) => {
      const end = Date.now() + withinMs;
      while (!(typeof text === 'string' ? log.includes(text) : text.test(log))) {
        if (Date.now() > end) throw new Error(`the broker did not write ${text}:\n${log}`);
        await sleep(10);
      }
    },
    stop: async () => {
      for (const client of clients) client.end(true);
      child.kill('SIGTERM');
      const code = await exited;
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
  await Promise.race([broker.logged(/mosquitto version .* running/, 60_000), exited]);
  return broker;
}

function attempt(client: MqttClient): Promise<Attempt> {
  return new Promise((resolve) => {
    const ended = new Promise<number>((done) => {
      let code = 0;
      client.on('disconnect', ({ reasonCode = 0 }) => {
        code = reasonCode;
      });
      client.on('close', () => done(code));
    });
    client.on('error', (error) => {
      client.end(true);
      const code = 'code' in error && typeof error.code === 'number' ? error.code : error.message;
      resolve({ refused: code });
    });
    client.on('connect', () => resolve({ client, ended }));
    client.on('close', () => resolve({ refused: 'closed' }));
  });
}
