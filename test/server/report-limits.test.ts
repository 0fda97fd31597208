import fastify from 'fastify';
import { expect, test } from 'vitest';
import { createReportLimits } from '../../src/server/report-limits.ts';
import { testClock } from '../house.ts';

test('that the limit of all is used up is said once a minute, however often it is met', async () => {
  const lines: string[] = [];
  const app = fastify({
    logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } },
  });
  await app.register(import('@fastify/rate-limit'), { global: false });
  const clock = testClock();
  const limits = createReportLimits(app, clock.now);
  app.get('/', async (request) => limits.ofAll(request).then(() => 'looked at'));
  const ask = async (times: number) => {
    const one = (): Promise<unknown> => app.inject('/');
    for (let at = 0; at < times; at += 1) await one();
    return lines.filter((line) => line.includes('more come than are looked at')).length;
  };
  expect(await ask(120)).toBe(0);
  expect(await ask(10)).toBe(1);
  clock.pass(59_999);
  expect(await ask(1)).toBe(1);
  clock.pass(1);
  expect(await ask(3)).toBe(2);
  await app.close();
});
