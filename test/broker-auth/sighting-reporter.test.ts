import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createSightingReporter, type SightingReport } from '../../src/broker-auth/sighting-reporter.ts';
import { endTakenBack } from '../../src/broker-auth/status/table-source.ts';
import { idOf, type Lab, openLab } from './lab.ts';

function reporting(lab: Lab) {
  const sent: SightingReport[] = [];
  const faults: unknown[] = [];
  const state = { failing: 0 };
  const reporter = createSightingReporter({
    gate: lab.gate,
    clock: lab.clock.now,
    resightMs: 600_000,
    send: async (report) => {
      if (state.failing > 0) {
        state.failing -= 1;
        throw new Error('the authority is away');
      }
      sent.push(report);
    },
    onFault: (error) => faults.push(error),
  });
  const tick = async () => {
    reporter.tick();
    await setImmediate();
  };
  return { reporter, sent, faults, state, tick };
}

function connect(lab: Lab, name: string) {
  const device = lab.maker.device(name);
  const verdict = lab.connect(device, name);
  if (!verdict.allow) throw new Error(verdict.detail);
  return { session: verdict.session, id: idOf(device, lab.maker.issuer) };
}

describe('what was seen', () => {
  test('is told again once in a while: the last CONNECT of those that came meanwhile, and only where one came', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const [{ session }, { session: quiet }] = [connect(lab, 'dev1'), connect(lab, 'dev2')];
    reporter.seen(session);
    reporter.seen(quiet);
    await tick();
    for (const minutes of [1, 2, 3]) {
      lab.clock.pass(60_000 * minutes);
      reporter.seen(session);
      await tick();
    }
    const last = new Date(lab.clock.now()).toISOString();
    expect(sent).toHaveLength(1);
    lab.clock.pass(240_000);
    await tick();
    expect(sent).toHaveLength(2);
    expect(sent[1]?.seen.map(({ serial, at }) => [serial, at])).toEqual([
      [session.credentials[0]?.serial, last],
    ]);
  });

  test('and denied is told once in a while too', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const { id } = connect(lab, 'dev1');
    for (let times = 0; times < 5; times += 1) {
      reporter.refused(id, 'mqtt');
      await tick();
    }
    expect(sent.map(({ refused }) => refused.length)).toEqual([1]);
    lab.clock.pass(600_000);
    reporter.refused(id, 'mqtt');
    await tick();
    expect(sent.map(({ refused }) => refused.length)).toEqual([1, 1]);
  });

  test('is told once, however often the device comes', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const { session, id } = connect(lab, 'dev1');
    reporter.seen(session);
    reporter.seen(session);
    await tick();
    reporter.seen(session);
    await tick();
    const { issuerKeyId, serial } = id;
    const at = new Date(lab.clock.now()).toISOString();
    const seen = [{ issuerKeyId, serial, at, listener: 'mqtt' }];
    expect(sent).toEqual([{ seen, enforced: [], refused: [], sentAt: at }]);
  });

  test('is told again until it arrives, after longer and longer pauses', async () => {
    using lab = openLab();
    const { reporter, sent, faults, state, tick } = reporting(lab);
    state.failing = 2;
    reporter.seen(connect(lab, 'dev1').session);
    await tick();
    await tick();
    expect(faults).toHaveLength(1);
    lab.clock.pass(1000);
    await tick();
    lab.clock.pass(1000);
    await tick();
    expect([faults.length, sent.length]).toEqual([2, 0]);
    lab.clock.pass(1000);
    await tick();
    expect(sent).toHaveLength(1);
  });

  test('goes in batches, and what does not fit into memory is dropped', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const { session } = connect(lab, 'dev1');
    const [leaf] = session.credentials;
    if (!leaf) throw new Error('a certificate was shown');
    for (let at = 0; at < 20_001; at += 1)
      reporter.seen({ ...session, credentials: [{ ...leaf, serial: at.toString(16).padStart(6, '0') }] });
    for (let at = 0; at < 50; at += 1) await tick();
    expect(sent.map(({ seen }) => seen.length)).toEqual(Array.from({ length: 40 }, () => 500));
    expect(sent[0]?.seen[0]?.serial).toBe('000001');
  });
});

describe('a revocation is told to be enforced', () => {
  const change = (id: ReturnType<typeof idOf>, status: 'revoked' | 'good') =>
    ({ sequence: 1, authority: 'ldevid', ...id, status, at: '2026-01-01T00:00:00Z' }) as const;

  test('at once where nothing stands on it', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const id = idOf(lab.maker.device('dev1'), lab.maker.issuer);
    endTakenBack(lab.gate, change(id, 'revoked'), reporter);
    await tick();
    expect(sent[0]?.enforced).toMatchObject([{ serial: id.serial, issuerKeyId: id.issuerKeyId }]);
  });

  test('of many in batches, one behind the other, without waiting for the next second', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const { issuerKeyId } = idOf(lab.maker.device('dev1'), lab.maker.issuer);
    for (let at = 0; at < 30_000; at += 1)
      reporter.takenBack({ issuerKeyId, serial: at.toString(16).padStart(6, '0') }, []);
    await tick();
    expect(sent.map(({ enforced }) => enforced.length)).toEqual(Array.from({ length: 60 }, () => 500));
    await tick();
    expect(sent).toHaveLength(60);
  });

  test('when the broker has let go, and not before', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    const { id } = connect(lab, 'dev1');
    lab.broker.deaf = 1;
    endTakenBack(lab.gate, change(id, 'revoked'), reporter);
    await tick();
    expect(sent).toEqual([]);
    await lab.enforcer.settled();
    await tick();
    expect(sent[0]?.enforced).toHaveLength(1);
  });

  test('by a name too, where the broker shows no more', async () => {
    using lab = openLab({
      config: { listeners: { mqtt: { evidence: 'name' } }, roles: [{ name: 'device' }] },
    });
    const { reporter, tick, sent } = reporting(lab);
    lab.show({ level: 'name', name: 'dev1' }, 'dev1');
    const id = idOf(lab.maker.device('dev1'), lab.maker.issuer);
    const holder = { namespace: 'own', serialNumber: 'dev1', others: false };
    endTakenBack(lab.gate, { ...change(id, 'revoked'), holder }, reporter);
    await lab.enforcer.settled();
    expect(lab.gate.sessions.size).toBe(0);
    await tick();
    expect(sent[0]?.enforced).toHaveLength(1);
  });

  test('and a release is not', async () => {
    using lab = openLab();
    const { reporter, sent, tick } = reporting(lab);
    endTakenBack(lab.gate, change(connect(lab, 'dev1').id, 'good'), reporter);
    await tick();
    expect([sent.length, lab.gate.sessions.size]).toEqual([0, 1]);
  });
});
