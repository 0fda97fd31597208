import { describe, expect, test } from 'vitest';
import type { PluginEvent } from '../../../src/broker-auth/adapters/mosquitto/plugin-event.ts';
import { createPluginSessions } from '../../../src/broker-auth/adapters/mosquitto/plugin-sessions.ts';
import { createRestrained } from '../../../src/broker-auth/adapters/mosquitto/restrained.ts';
import { certificateDigest, type DeniedEntry } from '../../../src/broker-auth/denied-entry.ts';
import { createGuard } from '../../../src/broker-auth/guard/behaviour-guard.ts';
import { parseGuard } from '../../../src/broker-auth/guard/parse-guard.ts';
import { Sessions } from '../../../src/broker-auth/sessions.ts';
import { hearingGuard } from '../guard/hearing-guard.ts';

const AT = Date.UTC(2026, 0, 1);
const credential = { issuerKeyId: 'aa', serial: '01', keyHash: 'bb' };
const identity = { namespace: 'own', id: 'dev1' };
const DEVICE = { address: '192.0.2.1', identity, credential };
const told = { v: 1, at: AT, clientId: 'dev1', address: '192.0.2.1', ...credential } as const;
const denied = (reason: string, more: object = {}): PluginEvent => ({
  ...{ ...told, event: 'denied', reason, detail: '' },
  ...more,
});

function heardOf(...events: readonly PluginEvent[]) {
  const { guard, heard } = hearingGuard();
  const canaries = [{ ...credential, serial: 'ca' }];
  const parts = { broker: 'm', listener: 'mqtt', sessions: new Sessions(), above: () => [], guard, canaries };
  const { take } = createPluginSessions(parts);
  for (const event of events) take(event);
  return heard.map(({ behaviour, origin }) => [behaviour, origin]);
}

describe("what Mosquitto's plugin tells counts", () => {
  const named = { namespace: 'own', id: 'dev1' };
  test('against the device where it did what it may not', () => {
    expect(
      heardOf(denied('clientId', named), {
        ...told,
        ...named,
        event: 'topicDenied',
        act: 'publish',
        topic: 'a',
      }),
    ).toEqual([
      ['authenticationFailed', DEVICE],
      ['topicDenied', DEVICE],
    ]);
  });
  test('against the certificate where that is no good, and its device goes free', () => {
    expect(heardOf(denied('revoked', named), denied('expired'))).toEqual([
      ['authenticationFailed', { address: '192.0.2.1', credential }],
      ['authenticationFailed', { address: '192.0.2.1', credential }],
    ]);
  });
  test('against the address where nothing was proven', () => {
    const rest: PluginEvent = {
      ...{ v: 1, event: 'denied', at: AT, clientId: 'dev1', address: '192.0.2.1' },
      ...{ reason: 'untrusted', detail: '' },
    };
    expect(heardOf(rest)).toEqual([['authenticationFailed', { address: '192.0.2.1' }]]);
  });
  test('against nobody where the snapshot is too old, or the guard itself denies it', () => {
    expect(heardOf(denied('statusUnknown', named), denied('exclusive', named), denied('blocked'))).toEqual(
      [],
    );
  });
});

describe('whom the guard blocks', () => {
  function setUp(reaction: 'block' | 'throttle' = 'block') {
    const rules = parseGuard(
      {
        rules: [
          {
            name: 'scanning',
            behaviour: 'topicDenied',
            moreThan: 1,
            withinSeconds: 60,
            reaction,
            forSeconds: 60,
          },
        ],
      },
      ['mqtt', 'other'],
    );
    const guard = createGuard({ rules, onReaction: () => undefined });
    const lists: (readonly DeniedEntry[])[] = [];
    const restrained = createRestrained(guard, 'mqtt', (entries) => lists.push(entries));
    const scan = (listener = 'mqtt') => {
      for (const topic of ['a', 'b']) guard.note('topicDenied', DEVICE, listener, AT, topic);
    };
    return { guard, restrained, lists, scan };
  }
  const entry = { kind: 'certificate', digest: certificateDigest(credential) };

  test('is denied by its certificate, also one that it showed elsewhere or before a restart, until it is free', () => {
    const { restrained, lists, scan } = setUp();
    restrained.tick(AT);
    expect(lists).toEqual([]);
    scan('other');
    restrained.tick(AT);
    expect(lists).toEqual([[entry]]);
    expect([restrained.denies(credential), restrained.denies({ ...credential, serial: '02' })]).toEqual([
      true,
      false,
    ]);
    restrained.tick(AT + 59_999);
    restrained.tick(AT + 60_000);
    expect(lists).toEqual([[entry], []]);
    expect(restrained.denies(credential)).toBe(false);
  });
  test('is denied by each certificate that is heard of', () => {
    const { restrained, lists, scan } = setUp();
    scan();
    restrained.tick(AT);
    const another = { ...credential, serial: '02' };
    restrained.look({ address: '192.0.2.1', identity }, another, AT);
    restrained.look(
      { address: '192.0.2.1', identity: { ...identity, id: 'dev2' } },
      { ...credential, serial: '03' },
      AT,
    );
    expect(lists.at(-1)).toEqual([entry, { kind: 'certificate', digest: certificateDigest(another) }]);
  });
  test('is free as soon as a person lifts it', () => {
    const { guard, restrained, lists, scan } = setUp();
    scan();
    restrained.tick(AT);
    guard.lift('device:own/dev1');
    restrained.tick(AT);
    expect(lists.at(-1)).toEqual([]);
  });
  test('is not who is only throttled: a snapshot cannot let one in now and then', () => {
    const { restrained, lists, scan } = setUp('throttle');
    scan();
    restrained.tick(AT);
    expect(lists).toEqual([]);
  });
});
