import { once } from 'node:events';
import { get } from 'node:http';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { createBaseApp } from '../../../src/server/base-app.ts';
import { mountStatus, STATUS_LIMITS } from '../../../src/server/routes/status.ts';
import { createChangePages } from '../../../src/server/status/change-pages.ts';
import { createStatusTail } from '../../../src/server/status/status-tail.ts';
import { LIMITS, startTestServer } from '../test-server.ts';

const server = await startTestServer();
const { ledger, authorities, clock } = server.house;
afterAll(() => server[Symbol.asyncDispose]());

test('a reader that left while it was found out who it is keeps no place', async () => {
  const tail = createStatusTail({
    ledger: ledger.read,
    clock: clock.now,
    steady: createSteadyClock(clock.now, clock.now),
    onFault: () => undefined,
  });
  const known = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const app = createBaseApp({ logger: pino({ level: 'silent' }), limits: LIMITS });
  mountStatus(app, {
    status: {
      tail,
      pages: createChangePages({ ledger: ledger.read, authorities, clock: clock.now }),
      snapshot: {
        ledger: ledger.read,
        authorities,
        signerOf: () => undefined,
        clock: clock.now,
        validMs: 1000,
      },
      limits: { ...STATUS_LIMITS, readers: 1 },
    },
    authenticate: async () => {
      asked.resolve();
      await known.promise;
      return { actor: 'token:gate', role: 'gate', local: false };
    },
  });
  const listening: Promise<string> = app.listen({ host: '127.0.0.1', port: 0 });
  const address = await listening;
  const feed = () => get(`${address}/status-feed`, { agent: false }).on('error', () => undefined);
  const impatient = feed();
  const [socket] = await once(app.server, 'connection');
  await asked.promise;
  impatient.destroy();
  await once(socket, 'close');
  known.resolve();

  const patient = feed();
  const [response] = await once(patient, 'response');
  expect(response.statusCode).toBe(200);
  patient.destroy();
  tail.close();
  await app.close();
});
