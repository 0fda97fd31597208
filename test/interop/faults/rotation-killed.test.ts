// A fleet that enrolls and renews while processes of the house are killed: nobody is stranded, and nobody has two.
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { sampleCsr, sampleKey } from '../../x509/samples.ts';
import { freePort } from '../free-port.ts';
import { lastLine } from '../house.ts';
import { mustRun } from '../run-program.ts';
import type { Door } from './ask-door.ts';
import { createClient, readLines } from './client.ts';
import { must } from './command.ts';
import { copyHome, makeFolder, makeServedHome, makeToken } from './home.ts';
import { countIssued, readLedger } from './ledger-facts.ts';
import { childrenOf, isAlive, type ServeOptions, type Serving, serve, until } from './serving.ts';
import { type Held, live, type StubbornDevice } from './stubborn-device.ts';

const FLEET = 24;
const RENEWALS = 2;
/** After so many answers there is a kill, each time a little later within what is under way. */
const ANSWERS_BETWEEN = 25;
const LATER_MS = 7;
/** Enough to hit what is under way at each of its steps; a restart takes seconds. */
const MOST_KILLS = 4;
/** Upkeep retires once in ten seconds what is due. */
const RETIRED_WITHIN_MS = 30_000;
const folder = makeFolder();
let template: Home;
let fleet: readonly StubbornDevice[] = [];

beforeAll(async () => {
  template = await makeServedHome(folder);
  const toml = readFileSync(template.config, 'utf8');
  // No tolerance: whoever shows the old one only a moment after the new one was used is a second holder. Full lists wait for nothing, so
  // that what they do not tell of soon was forgotten.
  const strict = toml
    .replace('graceMinutes = 60', 'graceMinutes = 0')
    .replace('toleranceSeconds = 300', 'toleranceSeconds = 0')
    .replace(/^#coalesceSeconds = \d+$/m, 'coalesceSeconds = 1');
  writeFileSync(template.config, strict);
  fleet = await bearFleet(template);
});
afterAll(() => folder.remove());

async function bearFleet(home: Home): Promise<readonly StubbornDevice[]> {
  const token = await makeToken(home);
  const keys = new Map(Array.from({ length: FLEET }, (_, at) => [`SN-${at}`, sampleKey('P-256')]));
  const serving = await serve(home);
  const client = createClient(home, serving);
  const births = [...keys].map(([serialNumber, key]) => ({
    serialNumber,
    csr: sampleCsr(key, { subject: encodeName([]) }).toString('base64'),
  }));
  const lines = readLines(await client.batch(token, births));
  client.close();
  await serving.end('SIGTERM');
  return lines.map(({ serialNumber = '', certificate: cert = '' }, at) => {
    const key = keys.get(serialNumber);
    if (!key) throw new Error(`nobody asked for ${serialNumber}`);
    return { serialNumber, idevid: { key, cert }, confirms: at % 3 !== 0 };
  });
}

/** `serve` with two workers and the broker, again and again on the same ports: any other is new where all workers died. */
async function wordsOf(): Promise<ServeOptions> {
  const [publicPort, tlsPort] = [await freePort(), await freePort()].map(String);
  const fixed = ['--public-port', `${publicPort}`, '--tls-port', `${tlsPort}`];
  const ports = [...fixed, '--mqtt-port', '0', '--mqtt-ws-port', '0'];
  return { words: ['--workers', '2', '--broker', ...ports], group: true };
}

async function killHouse({ pid, ended }: Serving): Promise<void> {
  const workers = childrenOf(pid);
  process.kill(-pid, 'SIGKILL');
  await ended;
  await until(() => !workers.some(isAlive));
}

interface Lived {
  readonly device: StubbornDevice;
  readonly had: readonly Held[];
}

/** The whole fleet lives, and `kill` is done at changing moments until it is through. */
async function liveThrough(
  { tlsUrl }: Serving,
  kill: (nth: number) => Promise<void>,
): Promise<{ readonly lived: readonly Lived[]; readonly kills: number; readonly lost: number }> {
  const door: Door = { tlsUrl, ca: readFileSync(template.pem('root')) };
  let [answers, lost, kills, over] = [0, 0, 0, false];
  const onAnswer = () => {
    answers += 1;
  };
  const onLost = () => {
    lost += 1;
  };
  const living = Promise.all(
    fleet.map(async (device) => ({
      device,
      had: await live(device, door, { renewals: RENEWALS, onAnswer, onLost }),
    })),
  ).finally(() => {
    over = true;
  });
  const killing = async () => {
    for (;;) {
      const next = answers + ANSWERS_BETWEEN;
      await until(() => over || answers >= next);
      if (over || kills === MOST_KILLS) return;
      await sleep((kills % 5) * LATER_MS);
      await kill(kills);
      kills += 1;
    }
  };
  const [lived] = await Promise.all([living, killing()]);
  return { lived, kills, lost };
}

const serialOf = ({ cert }: Held) => Buffer.from(new X509Certificate(cert).serialNumber, 'hex');

/** What became of each LDevID, as the ledger has it, with how often devices were issued one and what people are told of. */
function lookAt(home: Home, lived: readonly Lived[]) {
  return readLedger(home, async (read) => {
    const statusOf = async (held: Held) => {
      const [found] = await read.findStatuses('ldevid', [serialOf(held)]);
      return found?.status === 'revoked' ? found.revocation.reason : found?.status;
    };
    const issued = await countIssued(read);
    return {
      statuses: await Promise.all(lived.map(({ had }) => Promise.all(had.map(statusOf)))),
      issued: lived.map(({ device }) => issued.get(`device:own/${device.serialNumber}`)),
      incidents: (await read.listIncidents({ limit: 100 })).items.map(({ kind }) => kind),
    };
  });
}

/** Waits for what the ledger says; each look opens it anew. */
function untilLedger(
  home: Home,
  lived: readonly Lived[],
  isSo: (found: Awaited<ReturnType<typeof lookAt>>) => boolean,
): Promise<void> {
  return until(async () => {
    await sleep(200);
    return isSo(await lookAt(home, lived));
  }, RETIRED_WITHIN_MS);
}

/** Whether the broker lets it in. */
function getsIn(home: Home, { serialNumber }: StubbornDevice, { key, cert }: Held): Promise<boolean> {
  const { mqtt }: { mqtt: string } = JSON.parse(readFileSync(`${home.path}.ready`, 'utf8'));
  const pem = String(key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const tls = { ca: readFileSync(home.pem('root')), cert, key: pem };
  const client = connect(mqtt, { ...tls, clientId: serialNumber, reconnectPeriod: 0 });
  return new Promise<boolean>((resolve) => {
    client.on('error', () => resolve(false));
    client.once('close', () => resolve(false));
    client.once('connect', () => resolve(true));
  }).finally(() => client.end(true));
}

/** The certificates that the published list tells as superseded. */
async function listed({ publicUrl }: Serving): Promise<readonly string[]> {
  const pem = await (await fetch(`${publicUrl}/crl/ldevid.pem`)).text();
  const text = await mustRun('openssl', ['crl', '-noout', '-text'], { input: pem });
  const entries = text.matchAll(
    /Serial Number: (\w+)(?:(?!Serial Number)[\s\S])*?Reason Code:\s+Superseded/g,
  );
  return [...entries].map(([, serial = '']) => serial);
}

/** That the lists tell of all that was retired, where a kill came between the two. */
async function expectListed(serving: Serving, lived: readonly Lived[]): Promise<void> {
  const old = lived.flatMap(({ had }) => had.slice(0, -1).map(({ cert }) => new X509Certificate(cert)));
  const serials = old.map(({ serialNumber }) => serialNumber).sort();
  await until(async () => {
    await sleep(200);
    return (await listed(serving)).length >= serials.length;
  }, RETIRED_WITHIN_MS);
  expect([...(await listed(serving))].sort()).toEqual(serials);
}

/** What holds of a fleet that lived through anything. */
async function expectNobodyStranded(home: Home, lived: readonly Lived[]): Promise<void> {
  const settled = lived.map(({ had }) => had.map((_, at) => (at === RENEWALS ? 'good' : 'superseded')));
  const retired = FLEET * RENEWALS;
  await untilLedger(
    home,
    lived,
    ({ statuses }) => statuses.flat().filter((one) => one === 'superseded').length >= retired,
  );
  expect(await lookAt(home, lived)).toEqual({
    statuses: settled,
    // Its IDevID, and one certificate for each key that it ever asked for.
    issued: lived.map(() => 2 + RENEWALS),
    incidents: [],
  });
  for (const { device, had } of lived) {
    const [last] = had.slice(-1);
    if (last) expect(await getsIn(home, device, last), device.serialNumber).toBe(true);
  }
}

describe('devices that enroll, renew and confirm', () => {
  test('while the whole house is killed again and again, also while it retires: each has one credential, which gets in', async () => {
    const home = copyHome(template, folder);
    const options = await wordsOf();
    let serving = await serve(home, options);
    const restart = async () => {
      await killHouse(serving);
      serving = await serve(home, options);
    };
    const { lived, kills, lost } = await liveThrough(serving, restart);

    expect(kills).toBeGreaterThan(2);
    expect(lost).toBeGreaterThan(FLEET);

    await untilLedger(home, lived, ({ statuses }) => statuses.flat().includes('superseded'));
    await restart();
    await expectNobodyStranded(home, lived);
    await expectListed(serving, lived);
    expect(await readLedger(home, (read) => read.countRotations())).toEqual({
      open: 0,
      used: 0,
      conflict: 0,
    });

    // The twin: one who has what was retired is told from those who asked again.
    for (const { device, had } of lived.slice(0, 1))
      for (const old of had.slice(0, 1)) expect(await getsIn(home, device, old)).toBe(false);
    await untilLedger(home, lived, ({ incidents }) => incidents.length > 0);
    expect((await lookAt(home, lived)).incidents).toEqual(['two-holders']);
    expect((await serving.end('SIGTERM')).code).toBe(0);
  });

  test('while one worker after another is killed: each has one credential, and any worker tells how many retired', async () => {
    const home = copyHome(template, folder);
    const token = lastLine(await must(home, ['token', 'create', '--role', 'auditor', '--name', 'scraper']));
    const serving = await serve(home, await wordsOf());
    const killed = new Set<number>();
    const { lived, kills, lost } = await liveThrough(serving, async (nth) => {
      await until(() => childrenOf(serving.pid).length === 2);
      const victim = childrenOf(serving.pid)[nth % 2] ?? 0;
      killed.add(victim);
      process.kill(victim, 'SIGKILL');
    });
    expect(killed.size).toBe(kills);
    expect(kills).toBeGreaterThan(2);
    expect(lost).toBeGreaterThan(0);
    await expectNobodyStranded(home, lived);

    await until(() => childrenOf(serving.pid).length === 2);
    // New connections go to each worker in turn; what is asked for happens in the process that supervises them.
    for (const _ of [1, 2, 3]) {
      const client = createClient(home, serving);
      const { body } = await client.send('/metrics', { bearer: token });
      client.close();
      expect(body).toContain(`birthmark_credentials_retired_total{worker="0"} ${FLEET * RENEWALS}\n`);
      expect(body).toMatch(
        /birthmark_gate_verdicts_total\{listener="mqtt",reason="ok",gate="broker"\} [1-9]\d/,
      );
      expect(body).toContain('birthmark_rotations{state="conflict"} 0\n');
      expect(body.match(/^process_start_time_seconds\{/gm)).toHaveLength(3);
    }
    expect((await serving.end('SIGTERM')).code).toBe(0);
  });
});
