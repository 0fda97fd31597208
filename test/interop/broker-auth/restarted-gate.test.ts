// A gate that is killed and started again beside a broker that keeps its connections; the broker's management API answers as
// EMQX's and VerneMQ's do (contract-tested: neither was to be had).
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type Asked, managementApi } from '../../broker-auth/kick/management-api.ts';
import { useHouse } from '../use-house.ts';
import {
  type GateProcess,
  type IssuedDevice,
  issueDevice,
  prepareGate,
  startGate,
  until,
  writeSecret,
} from './gate.ts';

const house = useHouse();
const SECRET = 'k'.repeat(40);

let gate: GateProcess | undefined;
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(gate?.log());
  await gate?.stop();
});

type Kind = 'emqx' | 'vernemq';

/** A broker that has these clients until it is told to let one go. */
async function startBroker(kind: Kind, live: Set<string>) {
  const letGo: string[] = [];
  const end = (id: string) => {
    letGo.push(id);
    live.delete(id);
  };
  const respond = {
    emqx: ({ method, url, body }: Asked): readonly [number, unknown?] => {
      const id = url.split('/').at(-1) ?? '';
      if (method === 'GET') return live.has(id) ? [200, { connected: true }] : [404, {}];
      for (const one of body as string[]) end(one);
      return [204];
    },
    vernemq: ({ url }: Asked): readonly [number, unknown?] => {
      const { pathname, searchParams } = new URL(url, 'http://broker');
      const id = searchParams.get('client_id') ?? '';
      if (pathname === '/api/v2/client') return [200, { status: live.has(id) ? 'online' : 'unknown' }];
      end(id);
      return [200, 'ok'];
    },
  }[kind];
  return { api: await managementApi(respond), letGo };
}

const ASK = {
  emqx: async (to: GateProcess, { der }: IssuedDevice, id: string) => {
    const body = { clientid: id, username: '', peerhost: '192.0.2.7', cert: der };
    const [, text] = await to.ask('/emqx/authn', body, { authorization: `Bearer ${SECRET}` });
    return text.includes('"allow"');
  },
  vernemq: async (to: GateProcess, { der }: IssuedDevice, id: string) => {
    const body = { client_id: id, mountpoint: '', peer_addr: '192.0.2.7', client_cert: der };
    const headers = { authorization: `Bearer ${SECRET}`, 'vernemq-hook': 'auth_on_register' };
    const [, text] = await to.ask('/vernemq', body, headers);
    return text.includes('"ok"');
  },
};
const PUBLISHES = {
  emqx: async (to: GateProcess, id: string) => {
    const body = { clientid: id, action: 'publish', topic: `devices/${id}/up` };
    const [, text] = await to.ask('/emqx/authz', body, { authorization: `Bearer ${SECRET}` });
    return text.includes('"allow"');
  },
  vernemq: async (to: GateProcess, id: string) => {
    const body = { client_id: id, mountpoint: '', topic: `devices/${id}/up` };
    const headers = { authorization: `Bearer ${SECRET}`, 'vernemq-hook': 'auth_on_publish' };
    const [, text] = await to.ask('/vernemq', body, headers);
    return text.includes('"ok"');
  },
};

let prepared: Promise<string> | undefined;

async function start(kind: Kind, url: string, role: string): Promise<GateProcess> {
  writeSecret(house(), 'broker.secret', SECRET);
  prepared ??= prepareGate(house());
  const user = kind === 'emqx' ? 'user = "gate"' : '';
  const toml = `
[http.${kind}]
listener = "devices"
secretFile = "broker.secret"
[brokers.${kind}]
kind = "${kind}"
url = "${url}"
${user}
passwordFile = "broker.secret"
[listeners.devices]
[[roles]]
name = "${role}"
publish = ["devices/\${id}/#"]
`;
  gate = await startGate(house(), toml + (await prepared));
  return gate;
}

describe.each(['emqx', 'vernemq'] as const)('a gate that was killed beside %s', (kind) => {
  test('knows its sessions again: ends who was taken back meanwhile, and no other', async () => {
    const names = ['BAD', 'GOOD', 'LATER'].map((name) => `${kind}-${name}`);
    const live = new Set<string>();
    const { api, letGo } = await startBroker(kind, live);
    await using _api = api;
    const devices = new Map<string, IssuedDevice>();
    let near = await start(kind, api.url, 'device');
    await until(async () => (await near.get('/readyz'))[0] === 200, 'ready');
    for (const name of names) {
      const device = await issueDevice(house(), name, name);
      devices.set(name, device);
      expect(await ASK[kind](near, device, name)).toBe(true);
      live.add(name);
    }
    const [bad = '', good = '', later = ''] = names;
    const revoke = (name: string) =>
      house().must('revoke', '--serial', devices.get(name)?.serial ?? '', '--reason', 'keyCompromise');
    // It writes behind its answer: what was let in in the very moment of its death is lost (docs/brokers).
    await sleep(500);
    await near.kill();
    await revoke(bad);
    near = await start(kind, api.url, 'device');
    await until(() => letGo.includes(bad), 'the end of the session', 30_000);
    expect(await PUBLISHES[kind](near, bad)).toBe(false);
    expect(await PUBLISHES[kind](near, good)).toBe(true);
    await revoke(later);
    await until(() => letGo.includes(later), 'the end of the other session', 30_000);
    expect([...live]).toEqual([good]);

    // A session may not outlive the rules by which it was allowed.
    await near.kill();
    near = await start(kind, api.url, 'other-name');
    await until(() => letGo.includes(good), 'the end by other rules', 30_000);
    await until(async () => (await near.get('/readyz'))[0] === 200, 'ready');
    expect(await ASK[kind](near, devices.get(good) as IssuedDevice, good)).toBe(true);
  });
});
