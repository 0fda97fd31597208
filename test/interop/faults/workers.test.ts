import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { freePort } from '../free-port.ts';
import { runProgram } from '../run-program.ts';
import { type AnswerLine, createClient, readLines } from './client.ts';
import { birthmark, COMMAND, cleanEnvironment, must } from './command.ts';
import { makeDevices, toLines } from './devices.ts';
import { copyHome, makeFolder, makeServedHome, makeToken } from './home.ts';
import { countIssued, faultOf, findToken, listIssued, readLedger } from './ledger-facts.ts';
import { childrenOf, isAlive, type Serving, serve, until } from './serving.ts';

const TWO = { words: ['--workers', '2'] };
const folder = makeFolder();
let template: Home;
let token = '';

beforeAll(async () => {
  template = await makeServedHome(folder);
  token = await makeToken(template);
});
afterAll(() => folder.remove());

async function answersOf(
  home: Home,
  serving: Serving,
  bearer: string,
  prefix: string,
): Promise<AnswerLine[]> {
  const client = createClient(home, serving);
  const reply = await client.batch(bearer, makeDevices(prefix, 3));
  client.close();
  return readLines(reply);
}

test('a worker killed in the middle of `factory enroll`: all lines are answered, none twice, and a new worker is there', async () => {
  const home = copyHome(template, folder);
  const serving = await serve(home, TWO);
  const before = childrenOf(serving.pid);
  expect(before).toHaveLength(2);
  const devices = makeDevices('W', 2500);
  const file = (name: string) => path.join(folder.path, name);
  writeFileSync(file('in.ndjson'), toLines(devices));
  writeFileSync(file('token'), token, { mode: 0o600 });
  const enrolled = runProgram(
    process.execPath,
    [
      COMMAND,
      ...['factory', 'enroll', '--url', serving.tlsUrl, '--token-file', file('token'), '--json'],
      ...['--ca', home.pem('root'), '--in', file('in.ndjson'), '--out', file('out.ndjson')],
    ],
    { env: cleanEnvironment() },
  );
  const [victim = 0] = before;
  await readLedger(home, (read) =>
    until(async () => (await read.searchCertificates({ limit: 400, query: 'W-' })).items.length >= 400),
  );
  process.kill(victim, 'SIGKILL');

  const { status, out, err } = await enrolled;
  expect(err).not.toContain('birthmark:');
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ granted: 2500, refused: 0, before: 0 });
  const lines = readFileSync(file('out.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((text): AnswerLine => JSON.parse(text));
  expect(lines.map(({ serialNumber }) => serialNumber)).toEqual(
    devices.map(({ serialNumber }) => serialNumber),
  );
  expect(new Set(lines.map(({ serial }) => serial)).size).toBe(2500);

  await until(() => childrenOf(serving.pid).length === 2);
  expect(childrenOf(serving.pid)).not.toContain(victim);
  expect(serving.log()).toMatch(new RegExp(`"pid":${victim},.*a worker died`));
  await readLedger(home, async (read) => {
    for (const { certificate = '' } of lines) expect(await faultOf(read, home, certificate)).toBeUndefined();
    expect((await listIssued(read)).filter(({ deviceId }) => deviceId !== null)).toHaveLength(2500);
    const issued = await countIssued(read);
    expect(devices.every(({ serialNumber }) => issued.get(`device:own/${serialNumber}`) === 1)).toBe(true);
    expect((await findToken(read, 'line'))?.used).toBe(2500);
  });
  // Both workers answer: new connections go to each in turn.
  await until(() => serving.log().split('"msg":"Server listening at https').length - 1 === 3);
  for (const prefix of ['A', 'B']) {
    const answers = await answersOf(home, serving, token, prefix);
    expect(answers.every(({ certificate }) => certificate !== undefined)).toBe(true);
  }
  expect(await serving.end('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('workers killed before they heard what to do: the supervisor lives, and starts others until some serve', async () => {
  const home = copyHome(template, folder);
  // Where all died only a port that is fixed is the same again.
  const ports = ['--public-port', '0', '--tls-port', String(await freePort())];
  const serving = await serve(home, { words: [...TWO.words, ...ports] });
  const killed = new Set<number>();
  await until(() => {
    for (const child of childrenOf(serving.pid)) {
      process.kill(child, 'SIGKILL');
      killed.add(child);
    }
    return killed.size >= 20;
  });
  await until(async () => (await answersOf(home, serving, token, 'L')).length === 3);
  expect(await serving.end('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('a supervisor killed: its workers end by themselves, and the home is served again over the stale socket', async () => {
  const home = copyHome(template, folder);
  const serving = await serve(home, TWO);
  const workers = childrenOf(serving.pid);
  const client = createClient(home, serving);
  const firstPart = Promise.withResolvers<void>();
  const underWay = client.batch(token, makeDevices('K', 2000), { onPart: () => firstPart.resolve() });
  await firstPart.promise;
  expect((await serving.end('SIGKILL')).signal).toBe('SIGKILL');
  await until(() => !workers.some(isAlive));
  const left = readLines(await underWay);
  client.close();

  // Nobody is behind the socket that lies there.
  expect(statSync(home.socket).isSocket()).toBe(true);
  expect(await must(home, ['token', 'list'])).toContain('line');
  const again = await serve(home, TWO);
  await readLedger(home, async (read) => {
    expect(await read.findReserved(1)).toEqual([]);
    for (const { certificate = '' } of left) expect(await faultOf(read, home, certificate)).toBeUndefined();
  });
  expect(await must(home, ['token', 'list'])).toContain('line');
  expect((await again.end('SIGTERM')).code).toBe(0);
});

test.concurrent.each([
  [2, 'SIGTERM'],
  [1, 'SIGINT'],
  [2, 'SIGINT'],
] as const)(
  '--workers %i: %s, twice and to each process of the group, ends all with 0 in the middle of a batch',
  async (workers, signal) => {
    const home = copyHome(template, folder);
    const serving = await serve(home, { words: ['--workers', String(workers)], group: true });
    const children = workers === 1 ? [] : childrenOf(serving.pid);
    const client = createClient(home, serving);
    const firstPart = Promise.withResolvers<void>();
    const underWay = client.batch(token, makeDevices('T', 2000), { onPart: () => firstPart.resolve() });
    await firstPart.promise;
    process.kill(-serving.pid, signal);
    await setImmediate();
    process.kill(-serving.pid, signal);
    expect(await serving.ended).toEqual({ code: 0, signal: null });
    expect(children.some(isAlive)).toBe(false);
    expect(serving.log()).not.toContain('a worker died');
    const left = readLines(await underWay);
    client.close();
    await readLedger(home, async (read) => {
      for (const { certificate = '' } of left) expect(await faultOf(read, home, certificate)).toBeUndefined();
    });
    expect(existsSync(home.socket)).toBe(false);
  },
);

test('while a home is served: another `serve` and `init` refuse, every other command goes through the socket', async () => {
  const home = copyHome(template, folder);
  const serving = await serve(home, TWO);
  expect(statSync(home.socket).mode & 0o777).toBe(0o600);
  for (const words of [['serve', '--public-port', '0', '--tls-port', '0'], ['init']]) {
    const { status, err } = await birthmark(home, words);
    expect(status).toBe(1);
    expect(err).toMatch(/^birthmark: another process serves .*; stop it, .*\[home-in-use\]\n$/);
  }
  expect(childrenOf(serving.pid)).toHaveLength(2);
  // The command needs no key and no passphrase: it is not the one that opens the house.
  const ticket = await must(home, ['ticket', 'create', '--serial-number', 'S-1'], {
    env: { BIRTHMARK_PASSPHRASE: 'not the one that opens the keys' },
  });
  expect(ticket).toContain('bmt_');
  expect((await serving.end('SIGTERM')).code).toBe(0);
  const { status, err } = await birthmark(home, ['ticket', 'create', '--serial-number', 'S-2'], {
    env: { BIRTHMARK_PASSPHRASE: 'not the one that opens the keys' },
  });
  expect([status, err]).toEqual([1, expect.stringContaining('[passphrase-wrong]')]);
  expect(await must(home, ['ticket', 'create', '--serial-number', 'S-2'])).toContain('bmt_');
});
