import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { createCsr } from '../src/x509/create-csr.ts';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { percentile } from './statistics.ts';

const SESSIONS = 1000;
/** Of these so many are revoked one after another. */
const SINGLE = 500;
/** Connections that are opened at the same time while nothing is measured. */
const AT_ONCE = 32;
const LIMIT_MS = 250;

interface Device {
  readonly name: string;
  readonly key: string;
  readonly cert: string;
  readonly serial: string;
}

interface LiveSession {
  readonly socket: TLSSocket;
  /** `performance.now()` of its end. */
  readonly ended: Promise<number>;
}

export interface KickResult {
  readonly aedes: {
    readonly sessions: number;
    /** From the request that revokes to the end of the session, one certificate after another. */
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly limitMs: number;
    /** All of another thousand in one request. */
    readonly allAtOnce: { readonly p50Ms: number; readonly p99Ms: number; readonly lastMs: number };
    /** All of the first thousand come again at the same moment, half of them revoked. */
    readonly storm: {
      readonly allowed: number;
      readonly denied: number;
      readonly wronglyRefused: number;
      readonly wronglyAdmitted: number;
      readonly seconds: number;
    };
  };
}

/** How long a session outlives the revocation of its certificate, at `serve --broker` and over real connections. */
export async function benchKick(say: (text: string) => void): Promise<KickResult> {
  const home = makeHome();
  await command(home, 'init');
  const house = await startHouse(home, 1, ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0']);
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(house.ca) });
  try {
    const token = async (role: string, ...words: readonly string[]) =>
      (await house.command('token', 'create', '--role', role, '--name', role, ...words)).split('\n').at(-1) ??
      '';
    const factory = await token('factory', '--profile', 'ldevid');
    const operator = await token('operator');
    const revoke = (by: object) =>
      post(house, agent, '/revocations', operator, JSON.stringify({ by, reason: 'cessationOfOperation' }));
    const first = await enroll(house, agent, factory, 'first');
    const second = await enroll(house, agent, factory, 'second');

    const live = await connectAll(house, first);
    say(`${SESSIONS} sessions are live`);
    const single: number[] = [];
    for (const [at, device] of first.slice(0, SINGLE).entries()) {
      const begun = performance.now();
      const answered = revoke({ serial: device.serial });
      const ended = await live[at]?.ended;
      single.push((ended ?? Number.NaN) - begun);
      await answered;
    }
    say(`one after another: p99 ${percentile(single, 99).toFixed(1)} ms`);

    const others = await connectAll(house, second);
    const begun = performance.now();
    const [, ...times] = await Promise.all([
      revoke({ batch: 'second' }),
      ...others.map(async ({ ended }) => (await ended) - begun),
    ]);
    say(`all at once: the last after ${Math.max(...times).toFixed(0)} ms`);

    for (const { socket } of live) socket.destroy();
    const stormBegun = performance.now();
    const codes = await Promise.all(first.map((device) => open(house, device).then(({ code }) => code)));
    const seconds = (performance.now() - stormBegun) / 1000;
    const [revoked, good] = [codes.slice(0, SINGLE), codes.slice(SINGLE)];
    return {
      aedes: {
        sessions: SESSIONS,
        p50Ms: round(percentile(single, 50)),
        p99Ms: round(percentile(single, 99)),
        limitMs: LIMIT_MS,
        allAtOnce: {
          p50Ms: round(percentile(times, 50)),
          p99Ms: round(percentile(times, 99)),
          lastMs: round(Math.max(...times)),
        },
        storm: {
          allowed: good.filter((code) => code === 0).length,
          denied: revoked.filter((code) => code === NOT_AUTHORIZED).length,
          wronglyRefused: good.filter((code) => code !== 0).length,
          wronglyAdmitted: revoked.filter((code) => code === 0).length,
          seconds: round(seconds),
        },
      },
    };
  } finally {
    agent.destroy();
    await house.stop();
    removeHome(home);
  }
}

/** A batch of devices with LDevIDs. */
async function enroll(house: BenchHouse, agent: Agent, token: string, batch: string): Promise<Device[]> {
  const keys = new Map<string, KeyObject>();
  const lines = Array.from({ length: SESSIONS }, (_, at) => {
    const serialNumber = `${batch}-${at}`;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    keys.set(serialNumber, privateKey);
    return JSON.stringify({ serialNumber, batch, csr: createCsr(privateKey).toString('base64') });
  });
  const answer = await post(
    house,
    agent,
    '/factory/batch?profile=ldevid',
    token,
    `${lines.join('\n')}\n`,
    'application/x-ndjson',
  );
  return answer
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { serialNumber, serial, certificate } = JSON.parse(line);
      const key = keys.get(serialNumber)?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '';
      return { name: serialNumber, serial, cert: certificate, key };
    });
}

const NOT_AUTHORIZED = 5;

async function connectAll(house: BenchHouse, devices: readonly Device[]): Promise<LiveSession[]> {
  const sessions: LiveSession[] = [];
  for (let at = 0; at < devices.length; at += AT_ONCE) {
    const opened = await Promise.all(devices.slice(at, at + AT_ONCE).map((device) => open(house, device)));
    for (const { code, ...session } of opened) {
      if (code !== 0) throw new Error(`a device that is good was answered with ${code}`);
      sessions.push(session);
    }
  }
  return sessions;
}

/** Connects, and speaks no more than a CONNECT without a keep-alive (MQTT 3.1.1 §3.1): a thousand clients cost little. */
function open(
  house: BenchHouse,
  { name, key, cert }: Device,
): Promise<LiveSession & { readonly code: number }> {
  const { port, hostname } = new URL(house.mqtt ?? '');
  const socket = connect({ host: hostname, port: Number(port), ca: readFileSync(house.ca), key, cert });
  const ended = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now())));
  const id = Buffer.from(name);
  const body = Buffer.from([0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 0, 0, id.length, ...id]);
  socket.on('error', () => undefined);
  socket.once('secureConnect', () => socket.write(Buffer.from([0x10, body.length, ...body])));
  return new Promise((resolve) => {
    socket.once('data', (answer: Buffer) => resolve({ socket, ended, code: answer[3] ?? Number.NaN }));
    void ended.then(() => resolve({ socket, ended, code: Number.NaN }));
  });
}

function post(
  house: BenchHouse,
  agent: Agent,
  path: string,
  bearer: string,
  body: string,
  type = 'application/json',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${bearer}`,
      'content-type': type,
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(`${house.tls}/api/v1${path}`, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${path} was answered with ${response.statusCode}: ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
