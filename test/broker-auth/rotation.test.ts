// A device that came with a new certificate keeps its ClientId: what happens to the old certificate must not touch it.
import { describe, expect, test } from 'vitest';
import { emqxKickDriver } from '../../src/broker-auth/kick/emqx.ts';
import { rabbitmqKickDriver } from '../../src/broker-auth/kick/rabbitmq.ts';
import { vernemqKickDriver } from '../../src/broker-auth/kick/vernemq.ts';
import type { EndCause } from '../../src/broker-auth/ports.ts';
import { NameTable } from '../../src/broker-auth/status/name-table.ts';
import { endAllTakenBack, endTakenBack } from '../../src/broker-auth/status/table-source.ts';
import type { Change } from '../../src/broker-auth/status/wire.ts';
import { toBase64 } from '../../src/core/bytes.ts';
import type { Party } from '../x509/path/make-certificate.ts';
import { type Asking, openAsking } from './adapters/asking.ts';
import { managementApi } from './kick/management-api.ts';
import { idOf, type Lab, openLab, policyConfig, reasonOf } from './lab.ts';

/** The authority's word on one of dev1's certificates. */
function change(lab: Lab, party: Party, reason: string, others: boolean): Change {
  return {
    ...{ sequence: 1, authority: 'ldevid', ...idOf(party, lab.maker.issuer), status: 'revoked', reason },
    ...{ holder: { namespace: 'own', serialNumber: 'dev1', others }, at: '2026-01-02T03:04:05.678Z' },
  };
}

function tell(lab: Lab, party: Party, reason: string, others: boolean): void {
  lab.status.tell(party, lab.maker.issuer, 'revoked');
  endTakenBack(lab.gate, change(lab, party, reason, others));
}

/** A broker that is managed over HTTP: whom it has, whom it has banned, and what was asked of it. */
async function managed(kind: 'emqx' | 'vernemq' | 'rabbitmq') {
  const live = new Set<string>();
  const banned = new Set<string>();
  const ended: string[] = [];
  const end = (id: string) => {
    ended.push(id);
    live.delete(id);
  };
  const api = await managementApi(({ method, url, body }) => {
    const { pathname, searchParams } = new URL(url, 'http://broker');
    const id = searchParams.get('client_id') ?? decodeURIComponent(pathname.split('/').at(-1) ?? '');
    if (pathname === '/api/v5/clients/kickout/bulk') {
      for (const one of body as string[]) end(one);
      return [204];
    }
    if (pathname === '/api/v5/banned') {
      const { who } = body as { who: string };
      banned.add(who);
      end(who);
      return [200, {}];
    }
    if (pathname.startsWith('/api/v5/clients/')) return live.has(id) ? [200, { connected: true }] : [404, {}];
    if (pathname === '/api/v2/disconnect') {
      end(searchParams.has('cleanup') ? `${id} and all it left` : id);
      live.delete(id);
      return [200, 'ok'];
    }
    if (pathname === '/api/v2/client') return [200, { status: live.has(id) ? 'online' : 'unknown' }];
    if (method === 'DELETE') {
      for (const one of [...live]) end(one);
      return [204];
    }
    return [
      200,
      [...live].map((one) => ({ name: one, user: 'dev1', client_properties: { client_id: one } })),
    ];
  });
  const driver = {
    emqx: () => emqxKickDriver({ broker: 'test', ask: api.ask, clock: Date.now, banMs: 3_600_000 }),
    vernemq: () => vernemqKickDriver({ broker: 'test', ask: api.ask }),
    rabbitmq: () => rabbitmqKickDriver({ broker: 'test', ask: api.ask }),
  }[kind]();
  // Its list is not late here.
  return { api, live, banned, ended, driver: { ...driver, listsWithinMs: 0 } };
}

const ASK = {
  emqx: async (asking: Asking, { der }: Party) => {
    const body = { clientid: 'dev1', peerhost: '192.0.2.7', cert: toBase64(der), cn: 'dev1' };
    const { text } = await asking.json('/emqx/authn', body);
    return (JSON.parse(text) as { readonly result: string }).result === 'allow';
  },
  vernemq: async (asking: Asking, { der }: Party) => {
    const body = { client_id: 'dev1', mountpoint: '', peer_addr: '192.0.2.7', client_cert: toBase64(der) };
    const hook = { 'vernemq-hook': 'auth_on_register' };
    const { text } = await asking.json('/vernemq', body, hook);
    return (JSON.parse(text) as { readonly result: unknown }).result === 'ok';
  },
  rabbitmq: async (asking: Asking) => {
    const body = 'username=dev1&vhost=%2F&ip=192.0.2.7&tags=&client_id=dev1';
    return (await asking.form('/rabbitmq/vhost', body)).text === 'allow';
  },
};

async function openBroker(kind: keyof typeof ASK) {
  const broker = await managed(kind);
  const names = new NameTable();
  const asking: Asking = await openAsking(
    { [kind]: { broker: 'test', listener: 'mqtt' } },
    {
      config: policyConfig({}, kind === 'rabbitmq' ? { evidence: 'name' } : {}),
      drivers: [broker.driver],
      names: {
        statusOf: (identity) => ({
          status: names.statusOf(identity) ?? 'good',
          ageMs: 0,
        }),
      },
    },
  );
  return {
    ...broker,
    ...{ asking, lab: asking.lab },
    connect: async (party: Party) => {
      if (broker.banned.has('dev1') || !(await ASK[kind](asking, party))) return false;
      broker.live.add('dev1');
      return true;
    },
    tell: (party: Party, reason: string, others: boolean) => {
      const told = change(asking.lab, party, reason, others);
      names.take(told);
      asking.lab.status.tell(party, asking.lab.maker.issuer, 'revoked');
      endTakenBack(asking.lab.gate, told);
    },
    [Symbol.asyncDispose]: async () => {
      await asking[Symbol.asyncDispose]();
      await broker.api[Symbol.asyncDispose]();
    },
  };
}

describe.each(['emqx', 'vernemq', 'rabbitmq'] as const)('at %s', (kind) => {
  test('a certificate that is superseded leaves its device alone, which is connected with the new one', async () => {
    await using broker = await openBroker(kind);
    const [old, fresh] = [broker.lab.maker.device('dev1'), broker.lab.maker.device('dev1')];
    expect(await broker.connect(old)).toBe(true);
    expect(await broker.connect(fresh)).toBe(true);
    broker.tell(old, 'superseded', true);
    await broker.lab.enforcer.settled();
    expect(broker.ended).toEqual([]);
    expect([...broker.banned]).toEqual([]);
    expect(broker.lab.gate.sessions.size).toBe(1);
    broker.live.clear();
    expect(await broker.connect(fresh)).toBe(true);
  });

  test('a new certificate that is taken back ends the session that stands on it', async () => {
    await using broker = await openBroker(kind);
    const [old, fresh] = [broker.lab.maker.device('dev1'), broker.lab.maker.device('dev1')];
    await broker.connect(old);
    await broker.connect(fresh);
    broker.tell(fresh, 'keyCompromise', true);
    await broker.lab.enforcer.settled();
    expect(broker.ended).toHaveLength(1);
    expect([...broker.banned]).toEqual([]);
    expect(broker.lab.gate.sessions.size).toBe(0);
    // The other one is good still.
    expect(await broker.connect(old)).toBe(true);
  });

  test('a device that has nothing else is ended and kept out', async () => {
    await using broker = await openBroker(kind);
    const old = broker.lab.maker.device('dev1');
    await broker.connect(old);
    broker.tell(old, 'superseded', false);
    await broker.lab.enforcer.settled();
    expect(broker.ended).toEqual(['dev1']);
    expect([...broker.banned]).toEqual([]);
    expect(await broker.connect(old)).toBe(false);
  });
});

describe.each(['emqx', 'vernemq'] as const)('at %s, which shows certificates', (kind) => {
  test('who is still connected with the old certificate is ended, and let in at once with the new one', async () => {
    await using broker = await openBroker(kind);
    const [old, fresh] = [broker.lab.maker.device('dev1'), broker.lab.maker.device('dev1')];
    await broker.connect(old);
    broker.tell(old, 'superseded', true);
    await broker.lab.enforcer.settled();
    // Nothing of what waits for the device is removed.
    expect(broker.ended).toEqual(['dev1']);
    expect([...broker.banned]).toEqual([]);
    expect(await broker.connect(old)).toBe(false);
    expect(await broker.connect(fresh)).toBe(true);
  });

  test('a device that comes with the new one while the old session is being ended is not ended again', async () => {
    await using broker = await openBroker(kind);
    const [old, fresh] = [broker.lab.maker.device('dev1'), broker.lab.maker.device('dev1')];
    await broker.connect(old);
    broker.tell(old, 'revoked', true);
    expect(await broker.connect(fresh)).toBe(true);
    await broker.lab.enforcer.settled();
    expect(broker.ended.length).toBeLessThanOrEqual(1);
    expect(broker.lab.gate.sessions.size).toBe(1);
    expect([...broker.banned]).toEqual([]);
  });
});

test('at EMQX a ban is for who lost the last certificate to a revocation', async () => {
  await using broker = await openBroker('emqx');
  const old = broker.lab.maker.device('dev1');
  await broker.connect(old);
  broker.tell(old, 'keyCompromise', false);
  await broker.lab.enforcer.settled();
  expect([...broker.banned]).toEqual(['dev1']);
});

describe('what is known after a snapshot', () => {
  test.each<[string, EndCause]>([
    ['superseded', 'superseded'],
    ['keyCompromise', 'compromised'],
    ['cessationOfOperation', 'revoked'],
  ])('ends an old session for %s as %s, and lets the new certificate in', async (reason, cause) => {
    using lab = openLab();
    const [old, fresh] = [lab.maker.device('dev1'), lab.maker.device('dev1')];
    lab.connect(old, 'dev1');
    const { serial } = idOf(old, lab.maker.issuer);
    const source = {
      name: 'feed' as const,
      statusOf: (id: { readonly serial: string }) => {
        const status = id.serial === serial ? ('revoked' as const) : ('good' as const);
        return { status, reason, ageMs: 0 };
      },
    };
    endAllTakenBack(lab.gate, source, { statusOf: () => undefined });
    await lab.enforcer.settled();
    expect(lab.ended).toEqual([{ clientIds: ['dev1'], cause }]);
    expect(reasonOf(lab.connect(fresh, 'dev1'))).toBe('ok');
    endAllTakenBack(lab.gate, source, { statusOf: () => undefined });
    expect(lab.gate.sessions.size).toBe(1);
  });
});

test('a renewal for the same key outlives what it replaces', async () => {
  using lab = openLab();
  const old = lab.maker.device('dev1');
  const renewed = lab.maker.device('dev1', { key: old.key });
  lab.connect(renewed, 'dev1');
  tell(lab, old, 'superseded', true);
  await lab.enforcer.settled();
  expect(lab.ended).toEqual([]);
  expect(reasonOf(lab.connect(renewed, 'dev1'))).toBe('ok');
});
