import { describe, expect, test } from 'vitest';
import { createEnforcer } from '../../src/broker-auth/enforcer.ts';
import { type Session, Sessions } from '../../src/broker-auth/sessions.ts';
import { NOW } from '../x509/path/make-certificate.ts';
import { testBroker } from './lab.ts';

function session(clientId: string, changes: Partial<Session> = {}): Session {
  return {
    broker: 'test',
    listener: 'mqtt',
    clientId,
    identity: { namespace: 'own', id: clientId },
    credentials: [{ issuerKeyId: 'aa', serial: clientId, keyHash: `key of ${clientId}` }],
    since: NOW,
    until: NOW + 1000,
    untilBy: 'credential',
    ...changes,
  };
}

function room() {
  const sessions = new Sessions();
  const broker = testBroker();
  const ended: string[] = [];
  const errors: unknown[] = [];
  const enforcer = createEnforcer({
    sessions,
    drivers: [broker],
    clock: () => NOW,
    onEnded: (gone) => ended.push(...gone.map(({ clientId }) => clientId)),
    onError: (error) => errors.push(error),
  });
  const add = (one: Session) => {
    sessions.add(one);
    broker.live.add(one);
    return one;
  };
  return { sessions, broker, ended, errors, enforcer, add };
}

describe('the sessions', () => {
  const sessions = new Sessions();
  const [one, two] = [session('one'), session('two', { identity: { namespace: 'own', id: 'one' } })];
  sessions.add(one);
  sessions.add(two);
  test('are found by certificate, by key and by identity', () => {
    expect(sessions.standingOn({ certificate: { issuerKeyId: 'aa', serial: 'one' } })).toEqual([one]);
    expect(sessions.standingOn({ keyHash: 'key of two' })).toEqual([two]);
    expect(sessions.ofIdentity({ namespace: 'own', id: 'one' })).toEqual([one, two]);
    expect(sessions.due(NOW + 999)).toEqual([]);
    expect(sessions.due(NOW + 1000)).toEqual([one, two]);
  });
  test('are not found by what they do not stand on', () => {
    expect(sessions.standingOn({ certificate: { issuerKeyId: 'bb', serial: 'one' } })).toEqual([]);
    expect(sessions.standingOn({})).toEqual([]);
    expect(sessions.ofIdentity({ namespace: 'acme', id: 'one' })).toEqual([]);
  });
  test('give way to one of the same ClientId, by whatever listener it comes', () => {
    const next = session('one', { listener: 'mqtt-ws', credentials: [] });
    sessions.add(next);
    expect(sessions.size).toBe(2);
    expect(sessions.get(one)).toBe(next);
    expect(sessions.standingOn({ keyHash: 'key of one' })).toEqual([]);
  });
  test('leave nothing behind', () => {
    expect(sessions.remove(two)).toBe(two);
    expect(sessions.remove(two)).toBeUndefined();
    expect(sessions.standingOn({ keyHash: 'key of two' })).toEqual([]);
    expect([...sessions.values()].map(({ listener }) => listener)).toEqual(['mqtt-ws']);
  });
});

describe('the enforcer', () => {
  test('ends a session once, and forgets it', async () => {
    const { add, enforcer, broker, ended, sessions } = room();
    enforcer.end([add(session('one'))], 'revoked');
    await enforcer.settled();
    expect(broker.kicks).toEqual([{ clientIds: ['one'], cause: 'revoked' }]);
    expect(ended).toEqual(['one']);
    expect(sessions.size).toBe(0);
  });

  test('comes again until a broker that cannot be reached can be', async () => {
    const { add, enforcer, broker, errors, ended } = room();
    broker.failing = 2;
    enforcer.end([add(session('one'))], 'revoked');
    await enforcer.settled();
    expect(errors).toHaveLength(2);
    expect(ended).toEqual(['one']);
  });

  test('comes again until a broker that does not heed it lets go', async () => {
    const { add, enforcer, broker, errors, ended } = room();
    broker.deaf = 1;
    enforcer.end([add(session('one')), add(session('two'))], 'held');
    await enforcer.settled();
    expect(broker.kicks).toHaveLength(2);
    expect(errors).toEqual([]);
    expect(ended).toEqual(['one', 'two']);
  });

  test('leaves one alone that was allowed afresh meanwhile', async () => {
    const { add, enforcer, broker, ended, sessions } = room();
    broker.failing = 1;
    enforcer.end([add(session('one'))], 'sessionAge');
    const fresh = add(session('one', { since: NOW + 1 }));
    await enforcer.settled();
    expect(broker.kicks).toEqual([]);
    expect(ended).toEqual([]);
    expect(sessions.get(fresh)).toBe(fresh);
  });

  test('goes on with one whose place was given up', async () => {
    const { add, enforcer, broker, sessions, ended } = room();
    broker.failing = 1;
    const one = add(session('one'));
    enforcer.end([one], 'revoked');
    sessions.remove(one);
    await enforcer.settled();
    expect(ended).toEqual(['one']);
  });

  test('does not believe a broker that a session which it has just been told to allow is gone', async () => {
    const sessions = new Sessions();
    const broker = testBroker();
    const since = Date.now();
    const one = session('one', { since });
    const ended: number[] = [];
    const enforcer = createEnforcer({
      sessions,
      drivers: [{ ...broker, listsWithinMs: 400 }],
      clock: Date.now,
      onEnded: () => ended.push(broker.live.size),
      onError: (error) => {
        throw error;
      },
    });
    // Revoked between our answer and the moment in which the broker has the session.
    sessions.add(one);
    enforcer.end([one], 'revoked');
    setTimeout(() => broker.live.add(one), 50);
    await enforcer.settled();
    expect(ended).toEqual([0]);
    expect([broker.live.size, sessions.size]).toEqual([0, 0]);
  });

  test('says so where nobody can end sessions of a broker', () => {
    const { enforcer, errors } = room();
    enforcer.end([session('one', { broker: 'other' })], 'revoked');
    expect(errors).toHaveLength(1);
  });

  test('stops in the middle', async () => {
    const { add, enforcer, broker, ended } = room();
    broker.failing = 1000;
    enforcer.end([add(session('one'))], 'revoked');
    enforcer.stop();
    await enforcer.settled();
    expect(ended).toEqual([]);
  });
});
