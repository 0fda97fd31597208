import { describe, expect, it } from 'vitest';
import { createGuard, type Reaction } from '../../../src/broker-auth/guard/behaviour-guard.ts';
import type { GuardConfig } from '../../../src/broker-auth/guard/guard-config.ts';
import { parseGuard } from '../../../src/broker-auth/guard/parse-guard.ts';
import type { Origin } from '../../../src/broker-auth/ports.ts';

const START = Date.UTC(2026, 0, 1);
const THIEF = { address: '192.0.2.7' };
const DEVICE = { address: '192.0.2.8', identity: { namespace: 'own', id: 'SN-1' } };

const BLOCKING: NonNullable<GuardConfig['rules']>[number] = {
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

  it('ends when a person lifts it, once, and counts from nothing then', () => {
    const { guard, fail } = guardOf({});
    fail(4);
    expect(guard.lift('address:192.0.2.7').map(({ rule }) => rule)).toEqual(['guessing']);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    expect(guard.lift('address:192.0.2.7')).toEqual([]);
    fail(3);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeUndefined();
    fail(1);
    expect(guard.restraint(THIEF, 'mqtt', START)).toBeDefined();
  });

  it('does not begin anew by what was counted before it, once it has ended', () => {
    const { guard, fail } = guardOf({ rule: { withinSeconds: 3600, forSeconds: 60 } });
    fail(4);
    fail(3, THIEF, START + 60_000);
    expect(guard.restraint(THIEF, 'mqtt', START + 60_000)).toBeUndefined();
    fail(1, THIEF, START + 60_000);
    expect(guard.restraint(THIEF, 'mqtt', START + 60_000)).toBeDefined();
  });

  it('holds where it counts, and nowhere else', () => {
    const { guard, fail } = guardOf({ rule: { listeners: ['other'] } });
    fail(4, DEVICE, START, 'other');
    expect(guard.restraint(DEVICE, 'other', START)).toBeDefined();
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
    expect(guard.blockedDevices('mqtt', START)).toEqual([]);
  });

  it('is taken up again after a restart as long as it has not ended, rule or no rule', () => {
    const { guard, fail } = guardOf({});
    fail(4);
    const rules = parseGuard({ rules: [] }, ['mqtt']);
    const next = createGuard({ rules, onReaction: () => undefined, kept: guard.blocks(START) });
    expect(next.restraint(THIEF, 'mqtt', START + 599_999)?.reason).toBe('blocked');
    expect(next.restraint(THIEF, 'mqtt', START + 600_000)).toBeUndefined();
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
    expect(guard.restraint(THIEF, 'other', START)).toBeDefined();
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
    fail(4, { address: DEVICE.address, credential: { issuerKeyId: 'aa', serial: '01', keyHash: 'bb' } });
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

  it.each(['connect', 'abnormalEnd', 'undeliverable'] as const)(
    'is no address for %s: a fleet may be behind it that comes back at once',
    (behaviour) => {
      const { guard } = guardOf({ rule: { behaviour } });
      for (let n = 0; n < 1000; n += 1) guard.note(behaviour, THIEF, 'mqtt', START, 'a');
      expect(guard.blocks(START)).toEqual([]);
      for (let n = 0; n < 4; n += 1) guard.note(behaviour, DEVICE, 'mqtt', START, 'a');
      expect(guard.blocks(START).map(({ who }) => who)).toEqual(['device:own/SN-1']);
    },
  );

  it('is nobody where the broker tells no address: all of its clients would be one', () => {
    const { guard, fail } = guardOf({});
    fail(4, { address: '' });
    expect(guard.blocks(START)).toEqual([]);
    fail(4, { ...DEVICE, address: '' });
    expect(guard.blocks(START).map(({ who }) => who)).toEqual(['device:own/SN-1']);
  });

  it('is a device behind an exempt gateway all the same, once it proved that it is one', () => {
    const { guard, fail } = guardOf({ exempt: ['192.0.2.0/24'] });
    fail(4, DEVICE);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
  });

  it.each([
    ['device:own/SN-1', true],
    ['device:own/SN-*', true],
    ['device:own/SN-2', false],
    ['device:acme/SN-*', false],
  ])('with %s exempt: goes free %s', (exempt, isFree) => {
    const { guard, fail } = guardOf({ exempt: [exempt] });
    fail(4, DEVICE);
    expect(guard.restraint(DEVICE, 'mqtt', START) === undefined).toBe(isFree);
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

  it('quarantine of an address is a block, since nobody could say that it behaves again', () => {
    const { guard, fail } = guardOf({ rule: { reaction: 'quarantine', forSeconds: 60 } });
    fail(4);
    expect(guard.blocks(START)).toMatchObject([{ reaction: 'block', until: START + 60_000 }]);
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

describe('silence', () => {
  const silent = { rule: { behaviour: 'silent' as const, moreThan: 0, withinSeconds: 60 } };
  it('restrains who was silent for so long', () => {
    const { guard } = guardOf(silent);
    guard.quiet(DEVICE, 'mqtt', START, 60_000);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
  });
  it('is not yet what is shorter', () => {
    const { guard } = guardOf(silent);
    guard.quiet(DEVICE, 'mqtt', START, 59_999);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeUndefined();
  });
  it('is watched where a rule asks for it', () => {
    const { guard } = guardOf({ rule: { ...silent.rule, listeners: ['other'] } });
    expect(['other', 'mqtt'].map((listener) => guard.watches('silent', listener))).toEqual([true, false]);
    expect(guard.watches('undeliverable', 'other')).toBe(false);
  });
});

describe('the defaults', () => {
  const guardByDefault = () =>
    createGuard({ rules: parseGuard(undefined, ['mqtt']), onReaction: () => undefined });
  it.each([
    ['connect', 20, 'throttle'],
    ['authenticationFailed', 20, 'block'],
    ['abnormalEnd', 30, 'throttle'],
    ['topicDenied', 20, 'block'],
  ] as const)('watch %s: %i are still right, one more is met with %s', (behaviour, right, reaction) => {
    const guard = guardByDefault();
    const note = (n: number) => guard.note(behaviour, DEVICE, 'mqtt', START, `topic/${n}`);
    for (let n = 0; n < right; n += 1) note(n);
    expect(guard.blocks(START)).toEqual([]);
    note(right);
    expect(guard.blocks(START)).toMatchObject([{ who: 'device:own/SN-1', reaction }]);
  });
  it('watch where clients prove who they are, since elsewhere one would shut out all behind its address', () => {
    const some = parseGuard(undefined, ['mqtt', 'names'], ['mqtt']).rules;
    expect(some.map(({ listeners }) => listeners)).toEqual([['mqtt'], ['mqtt'], ['mqtt'], ['mqtt']]);
    expect(parseGuard(undefined, ['names'], []).rules).toEqual([]);
    expect(parseGuard({ rules: [BLOCKING] }, ['names'], []).rules).toHaveLength(1);
  });
  it('leave alone what only who knows the fleet can judge', () => {
    const guard = guardByDefault();
    expect([guard.watches('undeliverable', 'mqtt'), guard.watches('silent', 'mqtt')]).toEqual([false, false]);
  });
  it('are gone where the configuration has rules of its own, or none on purpose', () => {
    expect(parseGuard({ rules: [] }, ['mqtt']).rules).toEqual([]);
    expect(parseGuard({ rules: [BLOCKING] }, ['mqtt']).rules).toHaveLength(1);
    expect(parseGuard({ exempt: ['10.0.0.0/8'] }, ['mqtt']).rules).toHaveLength(4);
  });
});

describe('a flood of addresses', () => {
  it('pushes no device out of the list of blocks, and takes no more room than it may', () => {
    const rules = parseGuard({ rules: [BLOCKING], breaker: { moreThan: 1_000_000, part: 1 } }, ['mqtt']);
    const guard = createGuard({ rules, onReaction: () => undefined, remembered: 100 });
    const fail = (origin: Origin) => {
      for (let n = 0; n < 4; n += 1) guard.note('authenticationFailed', origin, 'mqtt', START);
    };
    fail(DEVICE);
    for (let n = 0; n < 1000; n += 1) fail({ address: `10.0.${n >> 8}.${n & 255}` });
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
    const { length } = guard.blocks(START);
    expect([length > 50, length <= 101]).toEqual([true, true]);
  });
  it('that trips its breaker leaves that of devices closed', () => {
    const { guard, fail } = guardOf({ breaker: { moreThan: 5, part: 0.1 } });
    for (let n = 0; n < 40; n += 1) fail(4, { address: `10.0.0.${n}` });
    fail(4, DEVICE);
    expect(guard.restraint(DEVICE, 'mqtt', START)).toBeDefined();
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

  it('counts those that the authority keeps out by now, and not those that a person let in again', () => {
    const { guard, fail } = guardOf({ breaker: { moreThan: 2, part: 0.9 } });
    const device = (n: number) => ({ ...DEVICE, identity: { namespace: 'own', id: `SN-${n}` } });
    for (const n of [1, 2]) {
      fail(4, device(n));
      guard.handOver(`device:own/SN-${n}`);
    }
    fail(4, device(3));
    expect(guard.blocks(START)).toEqual([]);
    guard.lift('device:own/SN-1');
    fail(1, device(3));
    expect(guard.blocks(START).map(({ who }) => who)).toEqual(['device:own/SN-3']);
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
    ['a device without a namespace', { exempt: ['device:SN-1'] }, 'guard.exempt.0'],
    ['a rule for no listener at all', { rules: [{ ...BLOCKING, listeners: [] }] }, 'guard.rules.0.listeners'],
    ['a block for the very first one', { rules: [{ ...BLOCKING, moreThan: 0 }] }, 'guard.rules.0.moreThan'],
    [
      'silence that is counted',
      { rules: [{ ...BLOCKING, behaviour: 'silent' as const }] },
      'guard.rules.0.moreThan',
    ],
    [
      'more topics than are told apart',
      { rules: [{ ...BLOCKING, behaviour: 'topicDenied' as const, moreThan: 10_001 }] },
      'guard.rules.0.moreThan',
    ],
  ])('refuses %s', (_, config, field) => {
    expect(() => parseGuard(config, ['mqtt'])).toThrow(
      expect.objectContaining({ code: 'config-invalid', field }),
    );
  });
});
