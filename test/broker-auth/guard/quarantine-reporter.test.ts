import { describe, expect, test } from 'vitest';
import { createGuard } from '../../../src/broker-auth/guard/behaviour-guard.ts';
import { parseGuard } from '../../../src/broker-auth/guard/parse-guard.ts';
import {
  createQuarantineReporter,
  type QuarantineReport,
  type QuarantineResult,
} from '../../../src/broker-auth/guard/quarantine-reporter.ts';
import type { KnownStatus } from '../../../src/broker-auth/status-source.ts';
import { testClock } from '../../house.ts';

const credential = { issuerKeyId: 'aa', serial: '01', keyHash: 'bb' };
const DEVICE = { address: '192.0.2.8', identity: { namespace: 'own', id: 'SN-1' }, credential };

function setUp(result: QuarantineResult = 'held') {
  const clock = testClock(Date.UTC(2026, 0, 1));
  const rules = parseGuard(
    {
      rules: [
        {
          name: 'scanning',
          behaviour: 'topicDenied',
          moreThan: 1,
          withinSeconds: 60,
          reaction: 'quarantine',
        },
      ],
    },
    ['mqtt'],
  );
  const guard = createGuard({ rules, onReaction: () => undefined });
  for (const topic of ['a', 'b']) guard.note('topicDenied', DEVICE, 'mqtt', clock.now(), topic);
  const authority: { status: KnownStatus['status']; failing: boolean; result: QuarantineResult } = {
    ...{ status: 'good', failing: false, result },
  };
  const sent: QuarantineReport[] = [];
  const faults: unknown[] = [];
  const reporter = createQuarantineReporter({
    guard,
    clock: clock.now,
    source: { statusOf: () => ({ status: authority.status, asOf: clock.now(), ageMs: 0 }) },
    send: async (report) => {
      sent.push(report);
      if (authority.failing) throw new Error('it is away');
      return report.devices.map(() => authority.result);
    },
    onResult: () => undefined,
    onFault: (error) => faults.push(error),
  });
  const tick = async () => {
    reporter.tick();
    await reporter.stop();
  };
  const restrained = () => guard.isBlocked(DEVICE, 'mqtt', clock.now());
  return { clock, guard, authority, sent, faults, tick, restrained };
}

describe('a quarantine', () => {
  test('is told once, with what was seen', async () => {
    const { tick, sent } = setUp();
    await tick();
    await tick();
    expect(sent).toEqual([
      {
        devices: [
          {
            ...{ issuerKeyId: 'aa', serial: '01', at: '2026-01-01T00:00:00.000Z', listener: 'mqtt' },
            ...{ rule: 'scanning', behaviour: 'topicDenied', count: 2 },
          },
        ],
      },
    ]);
  });

  test('is a block of the gate until the hold has come here, and free again when that is released', async () => {
    const { tick, authority, restrained, guard, clock } = setUp();
    await tick();
    expect([restrained(), guard.blocks(clock.now())[0]?.told]).toEqual([true, true]);
    authority.status = 'held';
    await tick();
    expect(restrained()).toBe(false);
    authority.status = 'good';
    await tick();
    expect(restrained()).toBe(false);
  });

  test('of a device that the authority does not know stays a block, and is not told for ever', async () => {
    const { tick, sent, restrained } = setUp('unknown');
    await tick();
    await tick();
    expect([sent.length, restrained()]).toEqual([1, true]);
  });

  test('is told again, and later each time, while the authority is away; the device stays out', async () => {
    const { tick, authority, sent, faults, restrained, clock } = setUp();
    authority.failing = true;
    await tick();
    await tick();
    expect([sent.length, faults.length]).toEqual([1, 1]);
    clock.pass(1000);
    await tick();
    clock.pass(1000);
    await tick();
    expect(sent).toHaveLength(2);
    authority.failing = false;
    clock.pass(1000);
    await tick();
    clock.pass(60_000);
    await tick();
    expect([sent.length, restrained()]).toEqual([3, true]);
  });

  test('that is one too many for the authority is told again when a person may have looked', async () => {
    const { tick, sent, restrained, clock } = setUp('tooMany');
    await tick();
    clock.pass(599_999);
    await tick();
    expect([sent.length, restrained()]).toEqual([1, true]);
    clock.pass(1);
    await tick();
    expect(sent).toHaveLength(2);
  });

  test('that a person has lifted is told no more', async () => {
    const { tick, sent, guard } = setUp();
    guard.lift('device:own/SN-1');
    await tick();
    expect(sent).toEqual([]);
  });
});
