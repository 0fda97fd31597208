// A real `birthmark broker-auth serve` beside a house, and devices of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { opensslCsr } from '../csr-makers.ts';
import type { House } from '../house.ts';

const COMMAND = fileURLToPath(new URL('../../../bin/birthmark.mjs', import.meta.url));
const READY_WITHIN_MS = 30_000;

export interface GateProcess {
  readonly url: string;
  readonly pid: number;
  /** Posts JSON to a dialect; gives the answer's status and its text. */
  ask(path: string, body: object, headers?: Readonly<Record<string, string>>): Promise<[number, string]>;
  get(path: string): Promise<[number, string]>;
  /** SIGKILL: nothing is written any more. */
  kill(): Promise<void>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
  /** What it wrote. */
  log(): string;
}

/** A token for the gate, the house's certificates beside it, and what each gate's configuration has in common. */
export async function prepareGate(house: House): Promise<string> {
  await house.tokenFile('gate', '--role', 'gate', '--listener', 'devices', '--listener', 'names');
  return `
[authority]
url = "${house.tlsUrl}"
caFile = "${house.pem('root')}"
tokenFile = "gate.token"
snapshotFile = "status.ndjson"

[[trust]]
namespace = "own"
anchorFiles = ["${house.pem('root')}"]
intermediateFiles = ["${house.pem('ldevid')}", "${house.pem('idevid')}"]
`;
}

/** Starts a gate in the house's folder. */
export async function startGate(house: House, toml: string, port = 0, listen = ''): Promise<GateProcess> {
  const config = house.write(
    'gate.toml',
    `${toml}\n[listen]\nhost = "127.0.0.1"\nport = ${port}\n${listen}\n`,
  );
  const ready = path.join(house.folder, 'gate-ready.json');
  rmSync(ready, { force: true });
  const words = ['broker-auth', 'serve', '--config', config, '--ready-file', ready];
  const child = spawn(process.execPath, [COMMAND, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      log += part.toString();
    });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!existsSync(ready)) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await end(child);
      throw new Error(`the gate did not get ready:\n${log}`);
    }
    await sleep(20);
  }
  const { brokerAuth } = JSON.parse(readFileSync(ready, 'utf8')) as { readonly brokerAuth: string };
  const answerOf = async (answer: Response): Promise<[number, string]> => [
    answer.status,
    await answer.text(),
  ];
  return {
    url: brokerAuth,
    pid: child.pid ?? 0,
    ask: async (target, body, headers = {}) =>
      answerOf(
        await fetch(brokerAuth + target, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        }),
      ),
    get: async (target) => answerOf(await fetch(brokerAuth + target)),
    kill: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
    },
    stop: () => end(child),
    log: () => log,
  };
}

export interface IssuedDevice {
  readonly key: string;
  readonly certificate: string;
  /** Base64 of the DER, as brokers hand it on. */
  readonly der: string;
  readonly serial: string;
}

/** A device with an LDevID. */
export async function issueDevice(house: House, name: string, serialNumber: string): Promise<IssuedDevice> {
  const csr = house.write(`${name}.csr`, await opensslCsr(house.folder, name, 'P-256', serialNumber));
  const certificate = path.join(house.folder, `${name}.pem`);
  const words = ['--profile', 'ldevid', '--serial-number', serialNumber, '--csr', csr, '--out', certificate];
  await house.must('issue', ...words);
  const [der = ''] =
    /-----BEGIN CERTIFICATE-----([^-]+)/.exec(readFileSync(certificate, 'utf8'))?.slice(1) ?? [];
  const serial = await house.program('openssl', 'x509', '-in', certificate, '-noout', '-serial');
  return {
    key: path.join(house.folder, `${name}.key`),
    certificate,
    der: der.replace(/\s/g, ''),
    serial: serial.trim().replace('serial=', '').toLowerCase(),
  };
}

/** Writes a file that only its owner may read. */
export function writeSecret(house: House, name: string, secret: string): string {
  const file = path.join(house.folder, name);
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return file;
}

export async function until(
  isSo: () => Promise<boolean> | boolean,
  what: string,
  withinMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`it did not come: ${what}`);
    await sleep(50);
  }
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }
  return child.exitCode;
}
