import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { certificateAdmission } from '../../src/enroll/certificate-admission.ts';
import { PROOF_SUBJECT } from '../../src/enroll/compromise/compromise-desk.ts';
import { createIdentifier } from '../../src/enroll/identify.ts';
import type { Signer } from '../../src/keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../../src/x509/algorithms.ts';
import { assembleSigned } from '../../src/x509/certificate.ts';
import { constructed, encode, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { integer } from '../../src/x509/der/values.ts';
import { encodeName } from '../../src/x509/name.ts';
import { toPem } from '../../src/x509/pem.ts';
import { hashKey } from '../../src/x509/public-key.ts';
import { granted, newCsr, newKey } from '../house.ts';
import { type SampleKey, sampleCsr } from '../x509/samples.ts';
import { type Asked, inject, problemOf, startTestServer, type TestServer } from './test-server.ts';

const proof = (key: SampleKey, value: string = PROOF_SUBJECT) =>
  newCsr(key, { subject: [{ type: 'CN', value }] });
/** Each from an address of its own, since an address may not ask often. */
const send = (server: TestServer, csr: Buffer) =>
  inject(server.local, 'POST', '/api/v1/key-compromise', { body: { csr: csr.toString('base64') } });
const sendRemote = (server: TestServer, asked: Asked) => server.ask('POST', '/key-compromise', asked);

/** A proof as an authority's own key makes it. */
async function signedBy(signer: Signer): Promise<Buffer> {
  const { der } = SIGNATURE_ALGORITHMS[signer.algorithm];
  const subject = encodeName([{ type: 'CN', value: PROOF_SUBJECT }]);
  const info = encode(sequence(integer(0), subject, signer.spki, constructed(TAG.contextConstructed, [])));
  return assembleSigned(info, der, await signer.sign(info));
}

/** How large each part of the ledger is that a stranger could fill. */
async function sizes({ house }: TestServer) {
  const { read } = house.ledger;
  const [audit, incidents] = await Promise.all([
    read.listAudit({ limit: 1000 }),
    read.listIncidents({ limit: 1000 }),
  ]);
  const { items: blocked } = await read.scanBlockedKeys({
    endedBefore: Number.MAX_SAFE_INTEGER,
    limit: 1000,
  });
  return { audit: audit.items.length, incidents: incidents.items.length, blocked: blocked.length };
}

async function device(server: TestServer, name: string) {
  const key = newKey();
  const { serial } = await server.house.grant(name, { key });
  const ask = await server.ask('GET', `/certificates/${toHex(serial)}`, {
    token: await server.token('auditor'),
  });
  expect(ask.json.status).toBe('good');
  const status = async () => {
    const token = await server.token('auditor');
    const { json } = await server.ask('GET', `/certificates/${toHex(serial)}`, { token });
    return [json.status, json.revocation?.reason];
  };
  return { key, serial, status };
}

describe("a proof for a device's key", () => {
  test('revokes at once, blocks the key, and is written down as the key holder’s', async () => {
    await using server = await startTestServer();
    const { key, serial, status } = await device(server, 'KC-1');
    const { status: code, json } = await sendRemote(server, {
      body: { csr: toPem('CERTIFICATE REQUEST', proof(key)) },
    });
    expect([code, json]).toEqual([200, { known: true, revoked: 1 }]);
    expect(await status()).toEqual(['revoked', 'keyCompromise']);
    const [known] = await server.house.ledger.read.findKeys([hashKey(key.spki)]);
    expect(known?.blocked).toBeDefined();
    const { items } = await server.house.ledger.read.listAudit({ limit: 1000 });
    expect(items.findLast(({ action }) => action === 'certificate.revoke')).toMatchObject({
      actor: 'key-holder',
      action: 'certificate.revoke',
      subject: `certificate:${toHex(serial)}`,
      facts: { reason: 'keyCompromise' },
    });
  });

  test('said twice changes nothing more, in the ledger either', async () => {
    await using server = await startTestServer();
    const { key } = await device(server, 'KC-1');
    await send(server, proof(key));
    const before = await sizes(server);
    expect((await send(server, proof(key))).json).toEqual({ known: true, revoked: 0 });
    expect(await sizes(server)).toEqual(before);
  });

  test('ends a hold, and makes a lesser reason graver', async () => {
    await using server = await startTestServer();
    for (const act of ['hold', 'revoke'] as const) {
      const { key, serial, status } = await device(server, `KC-${act}`);
      await server.house.revoker({ by: { kind: 'serial', serial }, act }, 'operator:test');
      expect((await send(server, proof(key))).json).toEqual({ known: true, revoked: 1 });
      expect(await status()).toEqual(['revoked', 'keyCompromise']);
    }
  });

  test('takes nothing along that the certificate vouched for', async () => {
    await using server = await startTestServer();
    const { house } = server;
    const key = newKey();
    const { certificate } = await house.grant('KC-1', { key });
    const peer = { leaf: certificate, chain: [], via: 'tls' } as const;
    const identity = await createIdentifier(house)(peer, { at: house.clock.now(), graceMs: 0 });
    const request = house.request('KC-1', { profile: 'ldevid' });
    const child = granted((await house.enroll([request], certificateAdmission(identity, house.watched)))[0]);
    expect((await send(server, proof(key))).json.revoked).toBe(1);
    const [status] = await house.ledger.read.findStatuses('ldevid', [child.serial]);
    expect(status).toEqual({ status: 'good' });
  });

  test('is an incident, told once, where the configuration says that people decide', async () => {
    await using server = await startTestServer({ revokeAtOnce: false });
    const { key, status } = await device(server, 'KC-1');
    for (let at = 0; at < 3; at += 1)
      expect((await send(server, proof(key))).json).toEqual({ known: true, revoked: 0 });
    expect(await status()).toEqual(['good', undefined]);
    const { items } = await server.house.ledger.read.listIncidents({ limit: 10 });
    expect(items).toMatchObject([{ kind: 'key-compromise-proven', subject: 'device:KC-1' }]);
  });
});

describe('what it may be signed over', () => {
  test('is a challenge that this house gave, as long as its time is not over', async () => {
    await using server = await startTestServer();
    const { key } = await device(server, 'KC-1');
    const { status, json, headers } = await server.ask('GET', '/key-compromise');
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
    expect(json.challenge.length).toBeLessThanOrEqual(64);
    const late = Date.parse(json.expires) - server.house.clock.now();
    server.house.clock.pass(late);
    const refused = await send(server, proof(key, json.challenge));
    expect([problemOf(refused), refused.json.detail]).toEqual([
      'bad-csr 400:csr',
      expect.stringContaining('expired'),
    ]);
    server.house.clock.pass(-1);
    expect((await send(server, proof(key, json.challenge))).json).toEqual({ known: true, revoked: 1 });
  });

  test.each([
    ['nothing', []],
    ['another text', [{ type: 'CN', value: 'device' }]],
    ['the text in other letters', [{ type: 'CN', value: PROOF_SUBJECT.toLowerCase() }]],
    [
      'the text and more',
      [
        { type: 'CN', value: PROOF_SUBJECT },
        { type: 'O', value: 'Lab' },
      ],
    ],
    ['the text as another attribute', [{ type: 'O', value: PROOF_SUBJECT }]],
    [
      'a challenge that somebody made up',
      [{ type: 'CN', value: `key-compromise-99999999999-${'0'.repeat(32)}` }],
    ],
  ] as const)('is not %s', async (_title, subject) => {
    await using server = await startTestServer();
    const { key, status } = await device(server, 'KC-1');
    expect(problemOf(await send(server, newCsr(key, { subject })))).toBe('bad-csr 400:csr');
    expect(await status()).toEqual(['good', undefined]);
  });
});

test('a proof that the key itself did not sign is refused', async () => {
  await using server = await startTestServer();
  const { key, status } = await device(server, 'KC-1');
  const subject = encodeName([{ type: 'CN', value: PROOF_SUBJECT }]);
  const forged = sampleCsr(newKey(), { subject, spki: key.spki });
  expect(problemOf(await send(server, forged))).toBe('proof-of-possession-failed 400:csr');
  expect(await status()).toEqual(['good', undefined]);
});

test('a proof for a key of a server is an incident for people, told once, and revokes nothing', async () => {
  await using server = await startTestServer();
  const key = newKey();
  const admin = await server.token('admin');
  const body = {
    profile: 'server',
    csr: newCsr(key).toString('base64'),
    name: 'host.lab.example',
    dns: ['host.lab.example'],
  };
  const { json } = await server.ask('POST', '/certificates', { token: admin, body });
  expect(json.serial).toBeDefined();
  for (let at = 0; at < 2; at += 1)
    expect((await send(server, proof(key))).json).toEqual({ known: true, revoked: 0 });
  const { json: shown } = await server.ask('GET', `/certificates/${json.serial}`, { token: admin });
  expect(shown.status).toBe('good');
  const { items } = await server.house.ledger.read.listIncidents({ limit: 10 });
  expect(items).toMatchObject([
    { kind: 'key-compromise-proven', subject: expect.stringContaining('host.lab.example') },
  ]);
});

test("a proof for an authority's key is an incident, and the authority goes on", async () => {
  await using server = await startTestServer();
  const authority = server.house.authorities.get('ldevid');
  if (!authority) throw new Error('there is no authority');
  const csr = await signedBy(authority.signer);
  // As init does it.
  const keyHash = hashKey(authority.signer.spki);
  await server.house.ledger.write((tx) => tx.claimKeys([{ keyHash, holder: 'authority:ldevid' }]));
  expect((await send(server, csr)).json).toEqual({ known: true, revoked: 0 });
  const { items } = await server.house.ledger.read.listIncidents({ limit: 10 });
  expect(items).toMatchObject([{ kind: 'key-compromise-proven', subject: 'authority:ldevid' }]);
  expect((await server.house.ask('KC-9', { profile: 'ldevid' })) instanceof Error).toBe(false);
});

describe('keys that nobody here knows', () => {
  test('are answered and forgotten, however many come', async () => {
    await using server = await startTestServer();
    const before = await sizes(server);
    for (let at = 0; at < 50; at += 1)
      expect((await send(server, proof(newKey()))).json).toEqual({ known: false, revoked: 0 });
    expect(await sizes(server)).toEqual(before);
    const { text } = await inject(server.remote, 'GET', '/metrics', { token: await server.token('admin') });
    expect(text).toMatch(/birthmark_key_compromise_reports_total\{outcome="unknown",worker="test"\} 50/);
  });
});

describe('limits', () => {
  test('are reached before anything of a report is read', async () => {
    await using server = await startTestServer();
    const { key, status } = await device(server, 'KC-1');
    const statuses: number[] = [];
    for (let at = 0; at < 12; at += 1)
      statuses.push((await sendRemote(server, { body: { csr: 'nonsense' } })).status);
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 400), 429, 429]);
    const late = await sendRemote(server, { body: { csr: proof(key).toString('base64') } });
    expect(problemOf(late)).toBe('too-many-requests 429');
    expect(late.headers['retry-after']).toBeDefined();
    expect(await status()).toEqual(['good', undefined]);
    expect((await send(server, proof(key))).json.revoked).toBe(1);
  });

  test('hold for all addresses together, and one that asks too often takes nothing from others', async () => {
    await using server = await startTestServer();
    const { key } = await device(server, 'KC-1');
    const whole = proof(key);
    const forged = Buffer.from(whole)
      .fill(0, whole.length - 8)
      .toString('base64');
    const from = async (remoteAddress: string, csr = forged) =>
      (
        await server.remote.inject({
          method: 'POST',
          url: '/api/v1/key-compromise',
          remoteAddress,
          payload: { csr },
        })
      ).statusCode;
    for (let at = 0; at < 40; at += 1) await from('192.0.2.1');
    // What is no proof at all, or a proof of nothing, is not counted.
    for (let at = 0; at < 200; at += 1)
      expect(await from(`203.0.113.${at}`, at % 2 === 0 ? 'x' : newCsr(key).toString('base64'))).toBe(400);
    const others: number[] = [];
    for (let at = 0; at < 111; at += 1) others.push(await from(`198.51.100.${at}`));
    expect(others.slice(0, 110)).toEqual(Array.from({ length: 110 }, () => 400));
    expect(others[110]).toBe(429);
    expect(await from('192.0.2.2', whole.toString('base64'))).toBe(429);
  });
});

describe('the body', () => {
  const type = 'application/pkcs10';
  const csr = proof(newKey());

  test.each([
    ['DER', csr],
    ['PEM', toPem('CERTIFICATE REQUEST', csr)],
    ['base64', csr.toString('base64').replaceAll(/.{64}/g, '$&\n')],
  ])('may be a CSR as it is: %s', async (_form, body) => {
    await using server = await startTestServer();
    expect((await sendRemote(server, { body, type })).json).toEqual({ known: false, revoked: 0 });
  });

  test.each([
    ['nothing', {}, /^unsupported-media-type 415|^bad-request 400/],
    ['a member that is not known', { body: { csr: '', why: '' } }, /^bad-request 400/],
    ['no CSR', { body: 'x', type }, /^bad-base64 400/],
    ['more than a CSR can be', { body: Buffer.alloc(40_000, 0x30), type }, /^body-too-large 413/],
    ['lines', { body: '{}', type: 'application/x-ndjson' }, /^unsupported-media-type 415/],
  ])('is refused as %s', async (_title, asked, problem) => {
    await using server = await startTestServer();
    expect(problemOf(await sendRemote(server, asked))).toMatch(problem);
  });
});
