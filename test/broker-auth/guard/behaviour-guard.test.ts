import { describe, expect, it } from 'vitest';
import { createGuard, type Reaction } from '../../../src/broker-auth/guard/behaviour-guard.ts';
import type { GuardConfig } from '../../../src/broker-auth/guard/guard-config.ts';
import { parseGuard } from '../../../src/broker-auth/guard/parse-guard.ts';
import type { Origin } from '../../../src/broker-auth/ports.ts';

const START = Date.UTC(2026, 0, 1);
const THIEF = { address: '192.0.2.7' };
const DEVICE = { address: '192.0.2.8', identity: { namespace: 'own', id: 'SN-1' } };

const BLOCKING: GuardConfig['rules'][number] = {
  name: 'guessing',
  behaviour: 'authenticationFailed',
  moreThan: 3,
  withinSeconds: 60,
  reaction: 'block',
  forSeconds: 600,
};

function guardOf(config: Partial<GuardConfig> & { readonly rule?: Partial<typeof BLOCKING> }) {
  const { rule, ...more } = config;
  const reactions: Reaction[] = [];
  const rules = parseGuard({ rules: [{ ...BLOCKING, ...rule }], ...more }, ['mqtt', 'other']);
  const guard = createGuard({ rules, onReaction: (reaction) => reactions.push(reaction) });
  const fail = (times: number, origin: Origin = THIEF, at = START, listener = 'mqtt', topic?: string) => {
    for (let n = 0; n < times; n += 1) guard.note('authenticationFailed', origin, listener, at, topic);
  };
  return { guard, reactions, fail };
}

describe('a rule that blocks', () => {
  it('lets the number that it allows pass', () => {
    const { guard, fail } = guardOf({});
    fail(3);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
  });

  it('blocks at one more, and says which rule and until when', () => {
    const { guard, fail, reactions } = guardOf({});
    fail(4);
    expect(guard.restraint(THIEF, 'mqtt', START)).toEqual({
      reason: 'blocked',
      detail:
        'address:192.0.2.7: rule guessing counted 4 at 2026-01-01T00:00:00.000Z; until 2026-01-01T00:10:00.000Z',
    });
    expect(reactions).toHaveLength(1);
  });

  it('ends by itself', () => {
    const { guard, fail } = guardOf({});
    fail(4);
    expect(guard.restraint(THIEF, 'mqtt', START + 599_999)).toBeDefined();
    expect(guard.restraint(THIEF, 'mqtt', START + 600_000)).toBeUndefined();
    expect(guard.blocks(START + 600_000)).toEqual([]);
  });

  it('ends when a person lifts it, once', () => {
    const { guard, fail } = guardOf({});
    fail(4);
    expect(guard.lift('address:192.0.2.7')).toBe(true);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    expect(guard.lift('address:192.0.2.7')).toBe(false);
  });

  it('counts within its window only', () => {
    const { guard, fail } = guardOf({});
    fail(3);
    fail(1, THIEF, START + 70_000);
    expect(guard.restraint(THIEF, 'mqtt', START + 70_000)).toBeUndefined();
  });

  it('counts at its listeners only', () => {
    const { guard, fail } = guardOf({ rule: { listeners: ['other'] } });
    fail(4);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    fail(4, THIEF, START, 'other');
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeDefined();
  });
});

describe('who a failure counts against', () => {
  it('is the address where nothing was proven, and the device goes free', () => {
    const { guard, fail } = guardOf({});
    fail(4, { address: DEVICE.address });
    expect(guard.restraint({ address: DEVICE.address }, 'mqtt', START)).toBeDefined();
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
  });

  it('is the device where its key was proven, wherever it comes from', () => {
    const { guard, fail } = guardOf({});
    fail(4, DEVICE);
    expect(guard.restraint({ ...DEVICE, address: '198.51.100.1' }, 'mqtt', START)).toBeDefined();
    expect(guard.restraint({ address: DEVICE.address }, 'mqtt', START)).toBeUndefined();
  });

  it('is a certificate that is no good any more, and its device goes free', () => {
    const { guard, fail } = guardOf({});
    fail(4, { address: DEVICE.address, credential: { issuerKeyId: 'aa', serial: '01' } });
    expect(guard.blocks(START).map(({ who }) => who)).toEqual(['certificate:aa/01']);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
  });

  it('is a whole /64 of IPv6, and not its neighbour', () => {
    const { guard, fail } = guardOf({});
    fail(2, { address: '2001:db8:0:1::5' });
    fail(2, { address: '2001:db8:0:1:ffff::6' });
    expect(guard.restraint({ address: '2001:db8::1:0:0:0:9' }, 'mqtt', START)).toBeDefined();
    expect(guard.restraint({ address: '2001:db8:0:2::5' }, 'mqtt', START)).toBeUndefined();
  });

  it('is nobody behind an exempt gateway', () => {
    const { guard, fail } = guardOf({ exempt: ['192.0.2.0/29'] });
    fail(4);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    fail(4, { address: '192.0.2.8' });
    expect(guard.restraint({ address: '192.0.2.8' }, 'mqtt', START)).toBeDefined();
  });
});

describe('topic scanning', () => {
  const scanning = { rule: { behaviour: 'topicDenied' as const } };

  it('is many different topics', () => {
    const { guard } = guardOf(scanning);
    for (const topic of ['a', 'b', 'c', 'd']) guard.note('topicDenied', DEVICE, 'mqtt', START, topic);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
  });

  it('is many long topics that begin alike', () => {
    const { guard } = guardOf(scanning);
    for (const end of ['a', 'b', 'c', 'd'])
      guard.note('topicDenied', DEVICE, 'mqtt', START, `${'x'.repeat(60_000)}${end}`);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
  });

  it('is not one topic often', () => {
    const { guard } = guardOf(scanning);
    for (let n = 0; n < 50; n += 1) guard.note('topicDenied', DEVICE, 'mqtt', START, 'a');
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
  });
});

describe('the other reactions', () => {
  it('throttle lets one through in each step', () => {
    const { guard, fail } = guardOf({ rule: { reaction: 'throttle', forSeconds: 10 } });
    fail(4);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    expect(guard.restraint(THIEF, 'mqtt', START + 9_999)?.reason).toBe('throttled');
    expect(guard.restraint(THIEF, 'mqtt', START + 10_000)).toBeUndefined();
  });

  it('quarantine has no end of its own', () => {
    const { forSeconds: _, ...rule } = BLOCKING;
    const rules = parseGuard({ rules: [{ ...rule, reaction: 'quarantine' }] }, ['mqtt']);
    const guard = createGuard({ rules, onReaction: () => undefined });
    for (let n = 0; n < 4; n += 1) guard.note('authenticationFailed', DEVICE, 'mqtt', START);
    expect(guard.restraint(DEVICE, 'mqtt', START + 1e12)?.detail).toContain('until a person lifts it');
  });

  it.each(['log', 'disconnect'] as const)('%s restrains nobody and is told', (reaction) => {
    const { forSeconds: _, ...rule } = BLOCKING;
    const told: Reaction[] = [];
    const rules = parseGuard({ rules: [{ ...rule, reaction }] }, ['mqtt']);
    const guard = createGuard({ rules, onReaction: (one) => told.push(one) });
    for (let n = 0; n < 4; n += 1) guard.note('authenticationFailed', DEVICE, 'mqtt', START);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
    expect(told.map(({ who, count, rule: { reaction: asked } }) => [who, count, asked])).toEqual([
      ['device:own/SN-1', 4, reaction],
    ]);
  });
});

describe('the breaker', () => {
  const breaker = { moreThan: 5, part: 0.1 };
  const address = (n: number) => ({ address: `10.0.${n >> 8}.${n & 255}` });

  it('keeps an outage, in which all fail, from blocking the fleet', () => {
    const { guard, fail, reactions } = guardOf({ breaker });
    for (let n = 0; n < 40; n += 1) fail(4, address(n));
    expect(guard.blocks(START)).toHaveLength(5);
    expect(reactions.at(-1)?.held).toBe(true);
  });

  it('tells of who is not restrained once a window, not of each failure', () => {
    const { fail, reactions } = guardOf({ breaker });
    for (let n = 0; n < 40; n += 1) fail(4, address(n));
    const before = reactions.length;
    fail(1000, address(39), START + 1);
    expect(reactions).toHaveLength(before);
    fail(4, address(39), START + 60_000);
    expect(reactions).toHaveLength(before + 1);
  });

  it('stays closed while few of many fail', () => {
    const { guard, fail, reactions } = guardOf({ breaker });
    for (let n = 0; n < 400; n += 1) guard.note('connect', address(n), 'mqtt', START);
    for (let n = 0; n < 10; n += 1) fail(4, address(n));
    expect(guard.blocks(START)).toHaveLength(10);
    expect(reactions.some(({ held }) => held)).toBe(false);
  });
});

describe('the configuration', () => {
  it.each([
    ['two rules of one name', { rules: [BLOCKING, BLOCKING] }, 'guard.rules.1.name'],
    [
      'a listener that is not there',
      { rules: [{ ...BLOCKING, listeners: ['x'] }] },
      'guard.rules.0.listeners',
    ],
    [
      'a time for what has none',
      { rules: [{ ...BLOCKING, reaction: 'log' as const }] },
      'guard.rules.0.forSeconds',
    ],
    ['a network that is none', { rules: [], exempt: ['10.0.0.0/33'] }, 'guard.exempt.0'],
  ])('refuses %s', (_, config, field) => {
    expect(() => parseGuard(config, ['mqtt'])).toThrow(
      expect.objectContaining({ code: 'config-invalid', field }),
    );
  });
});
