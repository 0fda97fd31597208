import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Home, homeAt } from '../../../src/cli/home.ts';
import { mustRun } from '../run-program.ts';
import { codeOf, createClient, type Reply, readLines } from './client.ts';
import { birthmark, must } from './command.ts';
import { makeDevices, newCsr } from './devices.ts';
import { copyHome, makeFolder, makeServedHome, makeTicket, makeToken } from './home.ts';
import { readLedger } from './ledger-facts.ts';
import { makeClock } from './moving-clock.ts';
import { serve } from './serving.ts';

const DYING_HOUSE = fileURLToPath(new URL('dying-house.ts', import.meta.url));
const YEAR_MS = 365.25 * 86_400_000;
const folder = makeFolder();
afterAll(() => folder.remove());

const told = (err: string) => err.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
const enrolled = ({ status, body }: Reply): string => {
  expect([status, body]).toEqual([200, expect.any(String)]);
  const { certificate }: { certificate: string } = JSON.parse(body);
  return certificate;
};

describe('a clock that went back', () => {
  let template: Home;
  let token = '';
  beforeAll(async () => {
    template = await makeServedHome(folder);
    token = await makeToken(template);
  });

  test('keeps `serve` and every command that would act from their start, until it is right', async () => {
    const home = copyHome(template, folder);
    const clock = makeClock(folder, new Date(Date.now() - 3 * YEAR_MS));
    for (const words of [
      ['serve', '--public-port', '0', '--tls-port', '0'],
      ['ticket', 'create', '--serial-number', 'S-1'],
    ]) {
      const { status, err } = await birthmark(home, words, clock);
      expect(told(err)).toEqual([
        expect.stringMatching(/^birthmark: this machine's clock says 20.*time service.*\[clock-went-back\]$/),
      ]);
      expect(status).toBe(1);
    }
    clock.set(new Date());
    expect(await must(home, ['ticket', 'create', '--serial-number', 'S-1'], clock)).toContain('bmt_');
  });

  test('stops issuance of a server that runs, and nothing else; good again when it is right', async () => {
    const home = copyHome(template, folder);
    const ticket = await makeTicket(home, 'C-1');
    const csr = newCsr();
    const clock = makeClock(folder, new Date());
    const serving = await serve(home, clock);
    const client = createClient(home, serving);
    const devices = makeDevices('M', 5);
    const before = await client.batch(token, devices.slice(0, 2));
    expect(readLines(before).map(({ error }) => error)).toEqual([undefined, undefined]);
    const certificate = enrolled(await client.enroll(ticket, csr));
    const tagOfList = async () => (await client.send(`${serving.publicUrl}/crl/idevid.crl`)).headers.etag;
    const tag = await tagOfList();

    clock.set(new Date(Date.now() - 2 * YEAR_MS));
    const during = await client.batch(token, devices);
    const codes =
      during.status === 200 ? readLines(during).map(({ error }) => error?.code) : [codeOf(during)];
    expect(new Set(codes)).toEqual(new Set(['clock-went-back']));
    const refused = await client.enroll(ticket, csr);
    expect([refused.status, codeOf(refused)]).toEqual([503, 'clock-went-back']);
    // A revocation must be told whatever the clock says: lists go on to be published, with the time that it says.
    while ((await tagOfList()) === tag) await sleep(200);
    // Who asks for lists and certificates of authorities gets them.
    for (const path of ['/crl/idevid.crl', '/crl/ldevid/7.crl', '/ca/idevid.cer', '/healthz', '/readyz'])
      expect((await client.send(`${serving.publicUrl}${path}`)).status, path).toBe(200);

    clock.set(new Date());
    const after = readLines(await client.batch(token, devices));
    expect(after.map(({ error }) => error)).toEqual(devices.map(() => undefined));
    expect(after.slice(0, 2)).toEqual(readLines(before));
    expect(enrolled(await client.enroll(ticket, csr))).toBe(certificate);
    // A step of some seconds is what time services do.
    clock.set(new Date(Date.now() - 20_000));
    expect(readLines(await client.batch(token, makeDevices('S', 1)))[0]?.error).toBeUndefined();
    client.close();
    expect((await serving.end('SIGTERM')).code).toBe(0);
  });
});

test('what a crash left reserved under a clock that was a little ahead is finished by the next start', async () => {
  const home = await makeServedHome(folder);
  const ticket = await makeTicket(home, 'A-1');
  const clock = makeClock(folder, new Date(Date.now() + 40_000));
  const dying = await serve(home, { ...clock, program: [DYING_HOUSE, 'reserve', '1'] });
  const client = createClient(home, dying);
  expect((await client.enroll(ticket, newCsr())).broken).toBe(true);
  client.close();
  await dying.ended;
  expect(await readLedger(home, (read) => read.findReserved(2))).toHaveLength(1);
  const serving = await serve(home);
  expect(await readLedger(home, (read) => read.findReserved(2))).toEqual([]);
  expect((await serving.end('SIGTERM')).code).toBe(0);
});

test('2049 turns into 2050, and later the LDevID authority ends: times in their form, then a clear refusal', async () => {
  const home = homeAt(folder.fresh());
  const clock = makeClock(folder, new Date('2049-12-31T23:00:00Z'));
  await must(home, ['init', '--public-url', 'http://pki.lab.example'], clock);
  const serving = await serve(home, clock);
  const client = createClient(home, serving, { trusting: true });
  const enroll = async (serialNumber: string) =>
    client.enroll(await makeTicket(home, serialNumber, clock), newCsr());
  const timesOf = async (pem: string) => {
    const text = await mustRun('openssl', ['asn1parse'], { input: pem });
    return [...text.matchAll(/(UTCTIME|GENERALIZEDTIME) +:(\w{4})/g)].map(([, form, year]) => [form, year]);
  };

  const last = enrolled(await enroll('Y-1'));
  expect(await timesOf(last)).toEqual([
    ['UTCTIME', '4912'],
    ['GENERALIZEDTIME', '2050'],
  ]);
  clock.set(new Date('2050-01-01T01:00:00Z'));
  const first = enrolled(await enroll('Y-2'));
  expect(await timesOf(first)).toEqual([
    ['GENERALIZEDTIME', '2050'],
    ['GENERALIZEDTIME', '2050'],
  ]);
  const authority = new X509Certificate(readFileSync(home.pem('ldevid')));
  const end = authority.validToDate;

  clock.set(new Date(end.getTime() - 10 * 86_400_000));
  const shortened = new X509Certificate(enrolled(await enroll('Y-3')));
  expect(shortened.validToDate.getTime()).toBeLessThanOrEqual(end.getTime());
  expect(shortened.validToDate.getTime()).toBeGreaterThan(shortened.validFromDate.getTime());

  clock.set(new Date(end.getTime() + 86_400_000));
  const refused = await enroll('Y-4');
  expect([refused.status, codeOf(refused)]).toEqual([503, 'authority-expired']);
  // The IDevID authority lives on, and what it issues has no end.
  const token = await makeToken(home, clock);
  const [device] = readLines(await client.batch(token, makeDevices('Y', 1)));
  expect(await timesOf(device?.certificate ?? '')).toEqual([
    ['GENERALIZEDTIME', String(end.getUTCFullYear())],
    ['GENERALIZEDTIME', '9999'],
  ]);
  client.close();
  expect((await serving.end('SIGTERM')).code).toBe(0);
  // The service authority has ended too: the listener goes on with what it has, so that lists and answers go out.
  const again = await serve(home, clock);
  expect((await again.end('SIGTERM')).code).toBe(0);
});
