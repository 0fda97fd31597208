import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Home } from '../../../src/cli/home.ts';
import { opensslCsr } from '../csr-makers.ts';
import { lastLine } from '../house.ts';
import { type Client, createClient } from './client.ts';
import { must } from './command.ts';
import { type Device, makeDevices, newCsr } from './devices.ts';
import { makeFolder, makeServedHome, makeToken } from './home.ts';
import { type Serving, serve } from './serving.ts';

const SAMPLES = 40;
const GENEROUS_MS = 1000;
const folder = makeFolder();
let home: Home;
let serving: Serving;
/** One for the batch and one for everybody else: they share the server's process and nothing more. */
let factory: Client;
let client: Client;
let token = '';
let admin = '';

beforeAll(async () => {
  home = await makeServedHome(folder);
  serving = await serve(home);
  factory = createClient(home, serving);
  client = createClient(home, serving);
  token = await makeToken(home);
  admin = lastLine(await must(home, ['token', 'create', '--role', 'admin', '--name', 'tickets']));
});
afterAll(async () => {
  factory.close();
  client.close();
  await serving.end('SIGTERM');
  folder.remove();
});

async function makeTickets(prefix: string, count: number): Promise<string[]> {
  const tickets: string[] = [];
  for (let at = 0; at < count; at += 1) {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ serialNumber: `${prefix}-${at}` });
    const reply = await client.send('/api/v1/tickets', { method: 'POST', bearer: admin, headers, body });
    const { ticket }: { ticket: string } = JSON.parse(reply.body);
    tickets.push(ticket);
  }
  return tickets;
}

/** Milliseconds of the sample below which 99 of 100 are. */
function p99(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.ceil(samples.length * 0.99) - 1] ?? Number.NaN;
}

async function timed(act: () => Promise<{ readonly status: number }>): Promise<number> {
  const begun = performance.now();
  const { status } = await act();
  expect(status).toBe(200);
  return performance.now() - begun;
}

describe('while a batch runs at full speed, one device, health and lists', () => {
  test.each([
    ['of new P-256 devices', async (round: number) => makeDevices(`NEW-${round}`, 400)],
    [
      'of RSA-4096 keys',
      (() => {
        let devices: readonly Device[] | undefined;
        return async () => {
          const csr = await Promise.resolve(
            devices?.[0]?.csr ?? opensslCsr(folder.path, 'rsa', 'RSA-4096', 'RSA-1'),
          );
          // Again and again: each line is read, verified and examined before the ledger is asked.
          devices ??= Array.from({ length: 400 }, () => ({ serialNumber: 'RSA-1', csr }));
          return devices;
        };
      })(),
    ],
  ] as const)('are served: %s', async (what, devicesOf) => {
    const tickets = await makeTickets(`E-${what.length}`, SAMPLES);
    const csrs = tickets.map(() => newCsr());
    const rounds = [await devicesOf(0), await devicesOf(1), await devicesOf(2), await devicesOf(3)];
    let running = true;
    let lines = 0;
    const feed = async (first: number) => {
      for (let round = first; running; round += 2) {
        const reply = await factory.batch(token, rounds[round % rounds.length] ?? []);
        expect([reply.status, reply.fault]).toEqual([200, undefined]);
        lines += reply.body.split('\n').length - 1;
      }
    };
    const begun = performance.now();
    const feeding = Promise.all([feed(0), feed(1)]);
    const times = { enroll: [] as number[], health: [] as number[], list: [] as number[] };
    for (const [at, ticket] of tickets.entries()) {
      times.enroll.push(await timed(() => client.enroll(ticket, csrs[at] ?? '')));
      times.health.push(await timed(() => client.send(`${serving.publicUrl}/healthz`)));
      times.list.push(await timed(() => client.send(`${serving.publicUrl}/crl/idevid/${at % 64}.crl`)));
    }
    running = false;
    await feeding;
    const rate = (lines * 1000) / (performance.now() - begun);
    const [enroll, health, list] = [times.enroll, times.health, times.list].map(p99);
    console.log(
      `a batch ${what} at ${Math.round(rate)} lines a second; p99 of enroll ${enroll?.toFixed(0)} ms, ` +
        `health ${health?.toFixed(0)} ms, list ${list?.toFixed(0)} ms`,
    );
    expect(enroll).toBeLessThan(GENEROUS_MS);
    expect(health).toBeLessThan(GENEROUS_MS);
    expect(list).toBeLessThan(GENEROUS_MS);
  });
});
