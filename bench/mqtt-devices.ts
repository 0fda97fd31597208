import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type Agent, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { createCsr } from '../src/x509/create-csr.ts';
import type { BenchHouse } from './house.ts';

export interface Device {
  readonly name: string;
  readonly key: string;
  readonly cert: string;
  readonly serial: string;
}

/** Where devices connect. */
export interface MqttPlace {
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly ca: string;
}

export interface LiveSession {
  readonly socket: TLSSocket;
  /** `performance.now()` of its end. */
  readonly ended: Promise<number>;
}

/** Connections that are opened at the same time while nothing is measured. */
const AT_ONCE = 32;

/** A batch of devices with LDevIDs. */
export async function enroll(
  house: BenchHouse,
  agent: Agent,
  token: string,
  batch: string,
  count: number,
): Promise<Device[]> {
  const keys = new Map<string, KeyObject>();
  const lines = Array.from({ length: count }, (_, at) => {
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

export async function connectAll(place: MqttPlace, devices: readonly Device[]): Promise<LiveSession[]> {
  const sessions: LiveSession[] = [];
  for (let at = 0; at < devices.length; at += AT_ONCE) {
    const opened = await Promise.all(devices.slice(at, at + AT_ONCE).map((device) => open(place, device)));
    for (const { code, ...session } of opened) {
      if (code !== 0) throw new Error(`a device that is good was answered with ${code}`);
      sessions.push(session);
    }
  }
  return sessions;
}

/** Connects, and speaks no more than a CONNECT without a keep-alive (MQTT 3.1.1 §3.1): a thousand clients cost little. */
export function open(
  { host, port, ca }: MqttPlace,
  { name, key, cert }: Device,
): Promise<LiveSession & { readonly code: number }> {
  const socket = connect({ host, port, ca, key, cert });
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

export function post(
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
