import { describe, expect, test } from 'vitest';
import { reconcile } from '../../src/broker-auth/reconcile.ts';
import type { Session } from '../../src/broker-auth/sessions.ts';
import { NOW } from '../x509/path/make-certificate.ts';
import { hearingGuard } from './guard/hearing-guard.ts';
import { idOf, openLab, policyConfig, reasonOf } from './lab.ts';

const [role = { name: 'device' }] = policyConfig().roles;
const place = (clientId: string) => ({ broker: 'test', clientId });
const DAY = 86_400_000;

describe('what a session may do', () => {
  test('is what its rules say, as long as it lives', () => {
    using lab = openLab();
    const may = (topic: string) => lab.gate.mayAct(place('dev1'), 'publish', topic);
    expect(may('devices/dev1/a')).toBe(false);
    lab.connect(lab.maker.device('dev1'), 'dev1');
    expect([may('devices/dev1/a'), may('devices/dev2/a')]).toEqual([true, false]);
    lab.gate.disconnected(place('dev1'), 'clean');
    expect(may('devices/dev1/a')).toBe(false);
  });
  test('is nothing once its time is over, even before anybody has looked', () => {
    using lab = openLab();
    lab.connect(lab.maker.device('dev1'), 'dev1');
    lab.clock.pass(DAY + 1);
    expect(lab.gate.mayAct(place('dev1'), 'receive', 'devices/dev1/a')).toBe(false);
  });
  test('is nothing once it is being ended', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.connect(device, 'dev1');
    lab.broker.failing = 1000;
    expect(lab.gate.takenBack({ certificate: idOf(device, lab.maker.issuer) }, 'revoked')).toBe(1);
    expect(lab.gate.mayAct(place('dev1'), 'publish', 'devices/dev1/a')).toBe(false);
  });
});

describe('what a broker tells later of the end of a certificate', () => {
  const config = policyConfig({}, { evidence: 'name' });
  const open = () => openLab({ config });
  const name = { level: 'name', name: 'dev1' } as const;

  test('ends the session then, and not before', async () => {
    using lab = open();
    lab.show(name, 'dev1');
    const at = lab.clock.now() + 10_000;
    const driver = {
      ...lab.broker,
      ends: async (asked: readonly Session[]) => new Map(asked.map((one) => [one, at])),
    };
    expect(await reconcile(lab.gate, driver, lab.clock.now)).toBe(0);
    for (const session of lab.gate.sessions.values()) lab.broker.live.add(session);
    lab.clock.pass(9000);
    lab.gate.tick();
    expect(lab.gate.mayAct(place('dev1'), 'publish', 'devices/dev1/a')).toBe(true);
    lab.clock.pass(1001);
    lab.gate.tick();
    await lab.enforcer.settled();
    expect(lab.ended).toEqual([{ clientIds: ['dev1'], cause: 'expired' }]);
  });
  test('makes no session longer, and does not bring back one that is being ended', () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    const verdict = lab.connect(device, 'dev1');
    if (!verdict.allow) throw new Error(verdict.detail);
    const { session } = verdict;
    lab.gate.limit(session, session.until + 1);
    expect(lab.gate.sessions.get(session)).toBe(session);
    lab.broker.failing = 1000;
    lab.gate.takenBack({ certificate: idOf(device, lab.maker.issuer) }, 'revoked');
    lab.gate.limit(session, NOW + 1);
    expect(lab.gate.sessions.get(session)).toBe(session);
    expect(lab.gate.mayAct(place('dev1'), 'publish', 'devices/dev1/a')).toBe(false);
  });
});

describe('a revocation', () => {
  test('ends what stands on the certificate, and nothing else', async () => {
    using lab = openLab();
    const [one, two] = [lab.maker.device('dev1'), lab.maker.device('dev2')];
    lab.connect(one, 'dev1');
    lab.connect(two, 'dev2');
    expect(lab.gate.takenBack({ certificate: idOf(one, lab.maker.issuer) }, 'revoked')).toBe(1);
    await lab.enforcer.settled();
    expect(lab.ended).toEqual([{ clientIds: ['dev1'], cause: 'revoked' }]);
    expect(lab.gate.sessions.size).toBe(1);
  });
  test('of an issuing CA ends all below it', async () => {
    using lab = openLab();
    for (const name of ['dev1', 'dev2']) lab.connect(lab.maker.device(name), name);
    const { issuer, root } = lab.maker;
    expect(lab.gate.takenBack({ certificate: idOf(issuer, root) }, 'revoked')).toBe(2);
    await lab.enforcer.settled();
    expect(lab.gate.sessions.size).toBe(0);
  });
  test('of a certificate leaves a renewal for the same key alone, and of the key does not', () => {
    using lab = openLab();
    const before = lab.maker.device('dev1');
    const renewed = lab.maker.device('dev1', { key: before.key });
    lab.connect(renewed, 'dev1');
    const { issuer } = lab.maker;
    const { keyHash, ...certificate } = idOf(before, issuer);
    expect(lab.gate.takenBack({ certificate }, 'revoked')).toBe(0);
    expect(lab.gate.takenBack({ certificate, keyHash }, 'revoked')).toBe(1);
  });
  test('that is told twice ends once', async () => {
    using lab = openLab();
    const device = lab.maker.device('dev1');
    lab.connect(device, 'dev1');
    const certificate = idOf(device, lab.maker.issuer);
    lab.gate.takenBack({ certificate }, 'held');
    expect(lab.gate.takenBack({ certificate }, 'revoked')).toBe(0);
    await lab.enforcer.settled();
    expect(lab.broker.kicks).toHaveLength(1);
  });
  test('of a device ends all that it has, and no other namespace', () => {
    using lab = openLab();
    lab.connect(lab.maker.device('dev1'), 'dev1');
    expect(lab.gate.endIdentity({ namespace: 'acme', id: 'dev1' }, 'quarantined')).toBe(0);
    expect(lab.gate.endIdentity({ namespace: 'own', id: 'dev1' }, 'quarantined')).toBe(1);
  });
});

describe('time', () => {
  test('ends a session with its certificate', async () => {
    using lab = openLab();
    lab.connect(lab.maker.device('dev1'), 'dev1');
    lab.clock.pass(DAY - 1);
    lab.gate.tick();
    expect(lab.gate.sessions.size).toBe(1);
    lab.clock.pass(1);
    lab.gate.tick();
    await lab.enforcer.settled();
    expect(lab.ended).toEqual([{ clientIds: ['dev1'], cause: 'expired' }]);
  });
  test('ends a session at its age, after which it may come back', async () => {
    using lab = openLab({ config: policyConfig({}, { maxSessionSeconds: 60, sessionJitter: 0 }) });
    const device = lab.maker.device('dev1');
    lab.connect(device, 'dev1');
    lab.clock.pass(60_000);
    lab.gate.tick();
    await lab.enforcer.settled();
    expect(lab.ended).toEqual([{ clientIds: ['dev1'], cause: 'sessionAge' }]);
    expect(reasonOf(lab.connect(device, 'dev1'))).toBe('ok');
  });
});

describe('a ClientId', () => {
  const config = policyConfig({ roles: [{ ...role, clientId: { bind: 'any' } }] });
  test('goes over to the next connection of the same device', () => {
    using lab = openLab({ config });
    const device = lab.maker.device('dev1');
    const first = lab.connect(device, 'shared');
    const second = lab.connect(lab.maker.device('dev1'), 'shared');
    expect([reasonOf(first), reasonOf(second)]).toEqual(['ok', 'ok']);
    if (!first.allow || !second.allow) throw new Error('both were allowed');
    // The broker tells of the end of the first one when the second one is there already.
    lab.gate.disconnected(place('shared'), 'abnormal', first.session);
    expect(lab.gate.sessions.get(place('shared'))).toBe(second.session);
    lab.gate.disconnected(place('shared'), 'clean', second.session);
    expect(lab.gate.sessions.size).toBe(0);
  });
  test('is not taken from another device that is connected, even where all may choose', () => {
    using lab = openLab({ config });
    lab.connect(lab.maker.device('dev1'), 'shared');
    const thief = lab.maker.device('dev2');
    expect(reasonOf(lab.connect(thief, 'shared'))).toBe('clientId');
    lab.gate.disconnected(place('shared'), 'clean');
    expect(reasonOf(lab.connect(thief, 'shared'))).toBe('ok');
  });
});

describe('the guard', () => {
  const restraining = () =>
    hearingGuard({
      restraint: ({ identity: one, credential }) =>
        one?.id === 'blocked' || !credential ? { reason: 'blocked', detail: 'it is blocked' } : undefined,
    });
  const told = ({ heard }: ReturnType<typeof hearingGuard>) =>
    heard.map(({ behaviour, origin }) => [behaviour, origin]);
  const address = '192.0.2.1';
  const identity = { namespace: 'own', id: 'dev1' };

  test('hears of what a device did, and of an address where nothing was proven', () => {
    const hearing = hearingGuard();
    using lab = openLab({ guard: hearing.guard });
    const device = lab.maker.device('dev1');
    const credential = idOf(device, lab.maker.issuer);
    lab.connect(device, 'dev1');
    lab.gate.mayAct(place('dev1'), 'publish', 'devices/dev2/a');
    lab.gate.mayAct(place('dev1'), 'receive', 'devices/dev2/a');
    lab.gate.saw(place('dev1'), 'undeliverable', 'devices/dev1/a');
    lab.gate.disconnected(place('dev1'), 'abnormal');
    lab.gate.saw(place('dev1'), 'undeliverable', 'devices/dev1/a');
    lab.show({ level: 'none' }, 'dev1');
    expect(told(hearing)).toEqual([
      ['connect', { address, identity, credential }],
      ['topicDenied', { address, identity, credential }],
      ['undeliverable', { address, identity, credential }],
      ['abnormalEnd', { address, identity, credential }],
      ['authenticationFailed', { address }],
    ]);
  });
  test('holds nothing against a device whose name alone was used', () => {
    const hearing = hearingGuard();
    using lab = openLab({ guard: hearing.guard, config: policyConfig({}, { evidence: 'name' }) });
    lab.show({ level: 'name', name: 'dev1' }, 'dev1');
    lab.gate.mayAct(place('dev1'), 'publish', 'devices/dev2/a');
    expect(told(hearing)).toEqual([
      ['connect', { address }],
      ['topicDenied', { address }],
    ]);
  });
  test('holds what is done with a revoked certificate against that, and not against its device', () => {
    const hearing = hearingGuard();
    using lab = openLab({ guard: hearing.guard });
    const stolen = lab.maker.device('dev1');
    const good = lab.maker.device('dev1');
    lab.status.tell(stolen, lab.maker.issuer, 'revoked');
    expect(reasonOf(lab.connect(stolen, 'dev1'))).toBe('revoked');
    expect(reasonOf(lab.connect(good, 'dev2'))).toBe('clientId');
    expect(told(hearing)).toEqual([
      ['authenticationFailed', { address, credential: idOf(stolen, lab.maker.issuer) }],
      ['authenticationFailed', { address, identity, credential: idOf(good, lab.maker.issuer) }],
    ]);
  });
  test('holds it against nobody that the gate does not know a status', () => {
    const hearing = hearingGuard();
    using lab = openLab({ guard: hearing.guard });
    lab.status.asOf = NOW - 3_600_000;
    expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1'))).toBe('statusUnknown');
    expect(told(hearing)).toEqual([]);
  });
  test('holds it against nobody that its ClientId is taken, which another may have done to it', () => {
    const hearing = hearingGuard();
    using lab = openLab({
      guard: hearing.guard,
      config: policyConfig({ roles: [{ ...role, clientId: { bind: 'any' } }] }),
    });
    lab.connect(lab.maker.device('dev2'), 'dev1');
    hearing.heard.length = 0;
    expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1'))).toBe('clientId');
    expect(told(hearing)).toEqual([]);
  });
  test('keeps a device out that it restrains, and leaves no session', () => {
    const { guard } = restraining();
    using lab = openLab({ guard });
    expect(reasonOf(lab.connect(lab.maker.device('blocked'), 'blocked'))).toBe('blocked');
    expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1'))).toBe('ok');
    expect(lab.gate.sessions.size).toBe(1);
  });
  test('keeps out who shows nothing from an address that it restrains, and no device that proves itself', () => {
    const { guard } = restraining();
    using lab = openLab({ guard });
    expect(reasonOf(lab.show({ level: 'none' }, 'dev1'))).toBe('blocked');
    expect(reasonOf(lab.connect(lab.maker.device('dev1'), 'dev1'))).toBe('ok');
  });
  test('hears who is silent, where silence shows', () => {
    const silent: [string, number][] = [];
    const { guard } = hearingGuard({
      quiet: ({ identity: one }, _listener, _at, quietMs) => silent.push([one?.id ?? '', quietMs]),
    });
    using lab = openLab({ guard });
    const connect = (name: string, asksOfEachAct: boolean) =>
      lab.gate.connect({
        ...{ broker: 'test', listener: 'mqtt', clientId: name, address, asksOfEachAct },
        evidence: { level: 'certificate', leaf: lab.maker.device(name).der, chain: [lab.maker.issuer.der] },
      });
    connect('dev1', true);
    connect('dev2', true);
    connect('dev3', false);
    lab.clock.pass(30_000);
    lab.gate.mayAct(place('dev2'), 'receive', 'devices/dev2/a');
    lab.clock.pass(30_000);
    lab.gate.tick();
    expect(silent).toEqual([
      ['dev1', 60_000],
      ['dev2', 30_000],
    ]);
  });
});

test('a verdict says from where its status is and how old', () => {
  using lab = openLab();
  lab.status.asOf = NOW - 5000;
  expect(lab.connect(lab.maker.device('dev1'), 'dev1')).toMatchObject({
    allow: true,
    status: { source: 'feed', ageMs: 5000 },
  });
});
