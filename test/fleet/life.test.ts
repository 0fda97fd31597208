import { describe, expect, it } from 'vitest';
import {
  LIFE,
  mayCome,
  mayMove,
  settledState,
  stateAfterIssue,
  WAYS,
  type Way,
} from '../../src/fleet/life.ts';
import { DEVICE_STATES, type DeviceState, type LifeFacts } from '../../src/fleet/ports.ts';

const PLAIN = { idevidCompromised: false, rebirthAllowed: false };

const facts = (state: DeviceState, more: Partial<LifeFacts> = {}): LifeFacts => ({
  deviceId: 1,
  namespace: 'own',
  serialNumber: 'SN-1',
  state,
  liveLdevids: 0,
  heldLdevids: 0,
  seen: false,
  ldevidCompromised: false,
  liveIdevids: 1,
  heldIdevids: 0,
  idevidCompromised: false,
  rotating: false,
  ...more,
});

/** Every set of facts that differs in what a state is worked out from. */
const allFacts = (state: DeviceState): LifeFacts[] => {
  const all: LifeFacts[] = [];
  for (let bits = 0; bits < 256; bits += 1) {
    const bit = (at: number) => (bits >> at) & 1;
    all.push(
      facts(state, {
        liveLdevids: bit(0) * (1 + bit(7)),
        heldLdevids: bit(1),
        seen: bit(0) === 1 && bit(2) === 1,
        ldevidCompromised: bit(3) === 1,
        liveIdevids: bit(4),
        heldIdevids: bit(5),
        idevidCompromised: bit(6) === 1,
        rotating: bit(0) === 1 && bit(7) === 1,
      }),
    );
  }
  return all;
};

describe('the life of a device', () => {
  it('goes nowhere from its end, and nowhere to itself', () => {
    expect(LIFE.retired.moves).toEqual([]);
    for (const state of DEVICE_STATES) expect(mayMove(state, state)).toBe(false);
  });

  it('lets a device whose broker is closed come by nothing that it had there', () => {
    for (const state of DEVICE_STATES)
      if (LIFE[state].broker === 'nothing') expect(LIFE[state].ways).not.toContain('ldevid');
  });

  it('has every move that certificates can speak for, as long as nobody takes a revocation back', () => {
    for (const state of DEVICE_STATES)
      for (const one of allFacts(state)) {
        const to = settledState(one);
        // A compromise that an older certificate has seen does not undo itself.
        const possible = state !== 'compromised' || (to !== 'manufactured' && to !== 'held' && !one.seen);
        if (to !== state && possible)
          expect(`${state}>${to} ${mayMove(state, to)}`).toBe(`${state}>${to} true`);
      }
  });

  it('never leaves quarantine or its end because of certificates', () => {
    for (const state of ['quarantined', 'retired'] as const)
      expect(new Set(allFacts(state).map((one) => settledState(one)))).toEqual(new Set([state]));
  });

  it.each<[string, DeviceState, Partial<LifeFacts>, DeviceState]>([
    ['has no LDevID', 'enrolled', {}, 'manufactured'],
    ['has one that nobody saw', 'manufactured', { liveLdevids: 1 }, 'enrolled'],
    ['has one that was seen', 'enrolled', { liveLdevids: 1, seen: true }, 'active'],
    ['has two of a rotation', 'active', { liveLdevids: 2, seen: true, rotating: true }, 'rotating'],
    ['has all of it held', 'active', { heldLdevids: 1 }, 'held'],
    ['has one held and one good', 'active', { heldLdevids: 1, liveLdevids: 1, seen: true }, 'active'],
    ['lost its key and has no other', 'active', { ldevidCompromised: true }, 'compromised'],
    [
      'lost a key and has another',
      'active',
      { ldevidCompromised: true, liveLdevids: 1, seen: true },
      'active',
    ],
    ['lost its IDevID', 'manufactured', { idevidCompromised: true, liveIdevids: 0 }, 'compromised'],
    ['lost an IDevID and has another', 'manufactured', { idevidCompromised: true }, 'manufactured'],
    [
      'is back with what nobody saw',
      'compromised',
      { ldevidCompromised: true, liveLdevids: 1 },
      'recovering',
    ],
    ['is back and was seen', 'recovering', { ldevidCompromised: true, liveLdevids: 1, seen: true }, 'active'],
  ])('is worked out where a device %s', (_, state, more, expected) => {
    expect(settledState(facts(state, more))).toBe(expected);
  });

  it('takes a device that recovers back where its new key is out as well, and not otherwise', () => {
    const recovering = facts('recovering', { ldevidCompromised: true });
    expect(settledState(recovering)).toBe('recovering');
    expect(settledState(recovering, true)).toBe('compromised');
  });

  it('moves a device with a certificate only where the table says so', () => {
    for (const state of DEVICE_STATES)
      for (const kind of ['idevid', 'ldevid'] as const)
        for (const rotates of [false, true]) {
          const to = stateAfterIssue(state, { kind, rotates });
          if (LIFE[state].ways.length > 0 && to !== state)
            expect([state, to, mayMove(state, to)]).toEqual([state, to, true]);
        }
  });
});

describe('a device may come', () => {
  const ways = (state: DeviceState, more: Partial<Parameters<typeof mayCome>[2]> = {}): readonly Way[] =>
    WAYS.filter((way) => mayCome(state, way, { ...PLAIN, ...more }));

  it('by all but a recovery ticket while nothing is wrong', () => {
    for (const state of ['manufactured', 'enrolled', 'active', 'rotating', 'recovering'] as const)
      expect(ways(state)).toEqual(['factory', 'operator', 'ticket', 'idevid', 'ldevid']);
  });

  it('by nothing while it is held or at its end', () => {
    for (const state of ['held', 'retired'] as const)
      expect(ways(state, { rebirthAllowed: true, cause: 'conflict' })).toEqual([]);
  });

  it('by nothing out of the quarantine of an operator or a gate', () => {
    for (const cause of ['operator', 'gate'] as const) expect(ways('quarantined', { cause })).toEqual([]);
    expect(ways('quarantined')).toEqual([]);
  });

  it('by its IDevID alone where two hold its identity', () => {
    expect(ways('quarantined', { cause: 'conflict' })).toEqual(['idevid']);
  });

  it('by a recovery ticket alone where its IDevID is out', () => {
    expect(ways('quarantined', { cause: 'compromise' })).toEqual(['recoveryTicket']);
    expect(ways('compromised', { idevidCompromised: true })).toEqual(['recoveryTicket']);
  });

  it('by its IDevID, a fresh ticket or an operator where its LDevID is out', () => {
    expect(ways('compromised')).toEqual(['operator', 'ticket', 'idevid']);
  });

  it('by the factory again only where an operator allowed it', () => {
    expect(ways('compromised', { rebirthAllowed: true })).toContain('factory');
    expect(ways('compromised')).not.toContain('factory');
  });
});
