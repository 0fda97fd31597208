import { afterAll, expect, test } from 'vitest';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { createChangePages } from '../../../src/server/status/change-pages.ts';
import { feedEvents } from '../../../src/server/status/feed-events.ts';
import { createStatusTail } from '../../../src/server/status/status-tail.ts';
import { startTestServer } from '../test-server.ts';

const server = await startTestServer();
afterAll(() => server[Symbol.asyncDispose]());

test('a change that comes between a look at the ledger and the next one makes nobody start afresh', async () => {
  const { ledger, authorities, clock, grant, revoker } = server.house;
  const read = ledger.read;
  const hold = async (serialNumber: string) => {
    const { serial } = await grant(serialNumber);
    await revoker({ by: { kind: 'serial', serial }, act: 'hold' }, 'operator:test');
  };
  const since = { epoch: await read.statusEpoch(), sequence: await read.lastStatusChange() };
  // Nobody listens, so it looks when the reader comes and never by itself.
  const tail = createStatusTail({
    ledger: read,
    clock: clock.now,
    steady: createSteadyClock(clock.now, clock.now),
    onFault: () => undefined,
  });
  const pages = createChangePages({ ledger: read, authorities, clock: clock.now });
  const gone = new AbortController();
  const reader = { since, gone: gone.signal, mayRead: () => Promise.resolve(true) };
  const events = feedEvents({ tail, pages }, reader);
  const next = async () => String((await events.next()).value).match(/(?<=^event: ).*/gm);

  await hold('FIRST');
  expect(await next()).toBeNull();
  await hold('SECOND');
  expect(await next()).toEqual(['status']);
  expect(await next()).toEqual(['position']);
  clock.pass(1);
  await tail.look();
  expect(await next()).toEqual(['status']);
  expect(await next()).toEqual(['position']);
  gone.abort();
});

test('a reader that may read no more is ended where the clock was put back, too', async () => {
  const { ledger, authorities, clock } = server.house;
  const tail = createStatusTail({
    ledger: ledger.read,
    clock: clock.now,
    steady: createSteadyClock(clock.now, clock.now),
    onFault: () => undefined,
  });
  const pages = createChangePages({ ledger: ledger.read, authorities, clock: clock.now });
  const { signal: gone } = new AbortController();
  const events = feedEvents({ tail, pages }, { since: undefined, gone, mayRead: async () => false });
  expect(await events.next()).toMatchObject({ done: false });
  expect(await events.next()).toMatchObject({ value: expect.stringContaining('event: position') });
  clock.pass(-3_600_000);
  const ended = events.next();
  await tail.look();
  tail.listen()();
  expect(await ended).toMatchObject({ done: true });
  clock.pass(3_600_000);
});
