import { hash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Role } from '../../src/enroll/ports.ts';
import { problemOf, shareTestServer } from './test-server.ts';

const server = await shareTestServer();
const admin = await server.token('admin');
const operator = await server.token('operator');

let requests = 0;

/** Lets a device ask for what needs approval; gives the id. */
async function request(profile = 'ldevid'): Promise<number> {
  requests += 1;
  const key = {
    namespace: 'acme',
    serialNumber: `SN-${requests}`,
    profile,
    keyHash: hash('sha256', 'k', 'buffer'),
  };
  const at = server.house.clock.now();
  await server.house.ledger.write((tx) => tx.addApproval(key, 'manufacturer:acme:00', at));
  return (await server.house.ledger.read.findApproval(key))?.id ?? 0;
}

const stateOf = async (id: number) =>
  (await server.house.ledger.read.listApprovals({ limit: 1000 })).items.find((one) => one.id === id)?.state;
const decide = (id: number | string, word: string, role: Role = 'operator') =>
  server.ask('POST', `/enrollments/${id}/${word}`, { token: role === 'admin' ? admin : operator });

let id: number;
beforeEach(async () => {
  id = await request();
});

describe('an enrollment that waits', () => {
  test.each([
    ['approve', 'approved'],
    ['deny', 'denied'],
  ])('has its word by %s, is audited, and is shown so', async (word, state) => {
    const { status, json } = await decide(id, word);
    expect(status).toBe(200);
    const { namespace, keyHash } = json;
    expect(json).toMatchObject({
      id,
      namespace: 'acme',
      state,
      decidedBy: 'token:operator-2',
      profile: 'ldevid',
    });
    expect(keyHash).toBe(hash('sha256', 'k'));
    expect(await stateOf(id)).toBe(state);
    const { json: audit } = await server.ask('GET', '/audit?limit=1000', { token: admin });
    expect(audit.items.at(-1)).toMatchObject({
      actor: 'token:operator-2',
      action: `enrollment.${word}`,
      subject: `device:${namespace}/${json.serialNumber}`,
      facts: { enrollment: id, profile: 'ldevid', keyHash },
    });
  });

  test('is listed by its state, and not by others', async () => {
    const ids = async (query: string) =>
      (await server.ask('GET', `/enrollments?limit=1000&${query}`, { token: admin })).json.items.map(
        ({ id: one }: { id: number }) => one,
      );
    expect((await ids(''))[0]).toBe(id);
    expect(await ids('state=waiting')).toContain(id);
    expect(await ids('state=approved')).not.toContain(id);
    await decide(id, 'approve');
    expect(await ids('state=waiting')).not.toContain(id);
    expect(await ids('state=approved')).toContain(id);
    const { json } = await server.ask('GET', '/enrollments?limit=1', { token: admin });
    const next = await server.ask('GET', `/enrollments?limit=1&cursor=${json.cursor}`, { token: admin });
    expect(next.json.items[0].id).toBeLessThan(json.items[0].id);
  });

  test('for what an operator may not give waits for an administrator', async () => {
    const idevid = await request('idevid');
    for (const word of ['approve', 'deny'])
      expect(problemOf(await decide(idevid, word))).toBe('profile-not-allowed 403:profile');
    expect(await stateOf(idevid)).toBe('waiting');
    expect((await decide(idevid, 'approve', 'admin')).status).toBe(200);
  });

  test('for a profile that is there no more can be denied and not approved', async () => {
    const gone = await request('gone');
    expect(problemOf(await decide(gone, 'approve', 'admin'))).toBe('profile-unknown 400:profile');
    expect(problemOf(await decide(gone, 'deny'))).toBe('profile-unknown 400:profile');
    expect(await stateOf(gone)).toBe('waiting');
    expect((await decide(gone, 'deny', 'admin')).json.state).toBe('denied');
  });

  test('may be approved after it was denied', async () => {
    await decide(id, 'deny');
    expect((await decide(id, 'approve')).json.state).toBe('approved');
  });
});

test.each([
  ['999999', 'not-found 404:id'],
  ['0', 'bad-request 400:id'],
  ['1.5', 'bad-request 400:id'],
  ['x', 'bad-request 400:id'],
])('there is no enrollment %s to approve', async (wrong, problem) => {
  expect(problemOf(await decide(wrong, 'approve'))).toBe(problem);
});

test('a state that there is not is not searched for', async () => {
  expect(problemOf(await server.ask('GET', '/enrollments?state=lost', { token: admin }))).toBe(
    'bad-request 400:state',
  );
});
