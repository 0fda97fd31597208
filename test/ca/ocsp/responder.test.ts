import { randomBytes } from 'node:crypto';
import { BasicOCSPResponse, OCSPResponse } from 'pkijs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { lintCertificate } from '../../../src/ca/lint/lint.ts';
import { renewResponderCertificates } from '../../../src/ca/ocsp/responder-certificate.ts';
import type { OcspAnswer } from '../../../src/ca/ocsp/sign-answer.ts';
import type { RevocationReason, RevocationRecord } from '../../../src/ca/revocation/ports.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encode, sequence } from '../../../src/x509/der/encode.ts';
import { judgeOcspResponse, readOcspResponse } from '../../../src/x509/ocsp-response-reader.ts';
import { codeOfAsync, DAY_MS, openTestHouse, type TestHouse } from '../../house.ts';
import { certIdFor, openResponding, type Question, question } from './responding.ts';

async function open(settings: Parameters<typeof openResponding>[1] = {}) {
  const house = await openTestHouse();
  const responding = await openResponding(house, settings);
  onTestFinished(() => {
    responding[Symbol.dispose]();
    house[Symbol.dispose]();
  });
  return { house, ...responding };
}

function success(answer: OcspAnswer) {
  if (answer.kind !== 'answer') throw new Error(answer.failure);
  return answer;
}

function failureOf(answer: OcspAnswer): string {
  return answer.kind === 'failure' ? answer.failure : 'answered';
}

/** What a verified answer says of a serial number. */
function judge(house: TestHouse, answer: OcspAnswer, serial: Uint8Array, asked: Question = {}) {
  const issuer = house.authorities.get(asked.authority ?? 'idevid')?.certificate;
  if (!issuer) throw new Error('there is no such authority');
  const { nonce } = asked;
  const certId = certIdFor(house, serial, asked);
  return judgeOcspResponse(readOcspResponse(success(answer).der), {
    issuer,
    certId,
    ...(nonce && { nonce }),
    now: house.clock.now(),
    skewMs: 0,
  });
}

async function takeBack(house: TestHouse, serial: Uint8Array, reason?: RevocationReason, held = false) {
  const record = await house.ledger.read.findBySerial(serial);
  if (!record) throw new Error('there is no such certificate');
  const { id, authority, shard, notAfter } = record;
  const now = house.clock.now();
  const row: RevocationRecord = {
    id,
    serial,
    authority,
    shard,
    notAfter,
    ...(reason && { reason }),
    held,
    revokedAt: now,
    discoveredAt: now,
    decidedAt: now,
    recordedAt: now,
    by: 'operator:test',
  };
  await house.ledger.write((tx) => tx.putRevocations([row]));
  return id;
}

const NEVER = Buffer.from('1234', 'hex');

describe('a certificate that was issued', () => {
  test.each([
    ['sha1', 'null'],
    ['sha1', 'absent'],
    ['sha256', 'null'],
    ['sha256', 'absent'],
  ] as const)('is good, asked for by %s with parameters %s', async (digest, parameters) => {
    const { house, respond } = await open();
    const { serial } = await house.grant('SN-1');
    const asked = { digest, parameters, nonce: randomBytes(32) };
    const single = judge(house, await respond(question(house, serial, asked)), serial, asked);
    expect(single.status).toEqual({ status: 'good' });
  });

  test('is revoked with its reason once it is taken back, whoever kept the old answer', async () => {
    const { house, respond, another } = await open();
    const { serial } = await house.grant('SN-1');
    const asked = question(house, serial);
    const other = another();
    for (const one of [respond, other])
      expect(judge(house, await one(asked), serial).status.status).toBe('good');
    house.clock.pass(5000);
    await takeBack(house, serial, 'keyCompromise');
    house.clock.pass(200);
    for (const one of [respond, other]) {
      expect(judge(house, await one(asked), serial).status).toEqual({
        status: 'revoked',
        revokedAt: Math.floor((house.clock.now() - 200) / 1000) * 1000,
        reason: 1,
      });
      const nonce = randomBytes(16);
      const anew = await one(question(house, serial, { nonce }));
      expect(judge(house, anew, serial, { nonce }).status.status).toBe('revoked');
    }
  });

  test('has no reason where none was given, is on hold where it is held, and good again when released', async () => {
    const { house, respond } = await open();
    const [{ serial }, { serial: other }] = [await house.grant('SN-1'), await house.grant('SN-2')];
    await takeBack(house, serial);
    const id = await takeBack(house, other, undefined, true);
    const said = async (one: Uint8Array) => judge(house, await respond(question(house, one)), one).status;
    expect(await said(serial)).not.toHaveProperty('reason');
    expect(await said(other)).toMatchObject({ status: 'revoked', reason: 6 });
    house.clock.pass(1000);
    await house.ledger.write((tx) => tx.releaseHolds([id], house.clock.now()));
    house.clock.pass(200);
    expect((await said(other)).status).toBe('good');
    expect((await said(serial)).status).toBe('revoked');
  });
});

describe('a serial number that was never issued', () => {
  test('is revoked since 1970, with the extension that says so', async () => {
    const { house, respond } = await open();
    const answer = success(await respond(question(house, NEVER)));
    expect(judge(house, answer, NEVER).status).toEqual({ status: 'revoked', revokedAt: 0, reason: 6 });
    expect(answer.der.includes(Buffer.from('06092b0601050507300109' + '04020500', 'hex'))).toBe(true);
  });

  test('is unknown where the configuration wants that, and never good', async () => {
    const { house, respond } = await open({ neverIssued: 'unknown' });
    const answer = success(await respond(question(house, NEVER)));
    expect(judge(house, answer, NEVER).status).toEqual({ status: 'unknown' });
    expect(answer.der.includes(Buffer.from('06092b0601050507300109', 'hex'))).toBe(false);
  });

  test('is not remembered: it may be issued in the next moment', async () => {
    const { house, respond } = await open();
    const before = success(await respond(question(house, NEVER)));
    house.clock.pass(1000);
    expect(success(await respond(question(house, NEVER))).der.equals(before.der)).toBe(false);
  });
});

test('an answer without a nonce is kept, signed ahead at half of its time, and never given in its last quarter', async () => {
  const { house, respond } = await open();
  const { serial } = await house.grant('SN-1');
  const asked = question(house, serial);
  const first = success(await respond(asked));
  house.clock.pass(100);
  expect(respond(asked)).toBe(first);
  house.clock.pass(DAY_MS / 2);
  expect(await respond(asked)).toBe(first);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await respond(asked)).not.toBe(first);
  house.clock.pass(DAY_MS * 0.8);
  const last = success(await respond(asked));
  expect(last.nextUpdate - house.clock.now()).toBeGreaterThan(last.maxAgeSeconds * 1000);
});

test.each([
  [15, false],
  [16, true],
  [32, true],
  [33, false],
])('a nonce of %i octets is given back: %s', async (size, isEchoed) => {
  const { house, respond } = await open();
  const { serial } = await house.grant('SN-1');
  const nonce = randomBytes(size);
  const answer = success(await respond(question(house, serial, { nonce })));
  expect(readOcspResponse(answer.der).nonce !== undefined).toBe(isEchoed);
});

describe('who may have no more signatures', () => {
  const never = () => false;

  test('is told to try later where an answer would be of use to nobody else, and no signature is made', async () => {
    const { house, respond, tally } = await open();
    const { serial } = await house.grant('SN-1');
    const certIds = [certIdFor(house, serial), certIdFor(house, serial, { digest: 'sha256' })];
    const several = encode(sequence(sequence(sequence(...certIds.map((certId) => sequence(certId))))));
    for (const asked of [
      question(house, serial, { nonce: randomBytes(32) }),
      question(house, NEVER),
      several,
    ]) {
      expect(failureOf(await respond(asked, never))).toBe('tryLater');
      expect(failureOf(await respond(asked))).toBe('answered');
    }
    expect(tally).toMatchObject({ limited: 3, signed: 3, kept: 0 });
  });

  test('still gets what is kept, and nothing that must be signed first', async () => {
    const { house, respond, tally } = await open();
    const { serial } = await house.grant('SN-1');
    const asked = [undefined, randomBytes(64)].map((nonce) =>
      question(house, serial, { ...(nonce && { nonce }) }),
    );
    for (const one of asked) expect(failureOf(await respond(one, never))).toBe('tryLater');
    for (const one of asked) expect(failureOf(await respond(one))).toBe('answered');
    for (const one of asked) expect(failureOf(await respond(one, never))).toBe('answered');
    expect(tally).toEqual({ certIds: { sha1: 6, sha256: 0 }, kept: 3, signed: 1, limited: 2 });
  });

  test('is asked by what use the answer is, before the ledger is looked into where that is known', async () => {
    const { house, respond } = await open();
    const { serial } = await house.grant('SN-1');
    const uses: string[] = [];
    const maySign = (use: string) => uses.push(use) > 0;
    for (const asked of [
      question(house, serial, { nonce: randomBytes(32) }),
      question(house, serial),
      question(house, serial),
      question(house, NEVER),
    ])
      expect(failureOf(await respond(asked, maySign))).toBe('answered');
    expect(uses).toEqual(['alone', 'shared', 'shared', 'alone']);
  });
});

test('the same octets are answered by what is known now, and not by what was', async () => {
  const { house, respond } = await open();
  const { serial } = await house.grant('SN-1');
  const asked = question(house, serial, { digest: 'sha256' });
  // Whoever gave the octets may overwrite them.
  for (let at = 0; at < 3; at += 1) {
    const lent = Buffer.from(asked);
    expect(judge(house, await respond(lent), serial, { digest: 'sha256' }).status.status).toBe('good');
    lent.fill(0);
  }
  await takeBack(house, serial, 'superseded');
  house.clock.pass(200);
  expect(judge(house, await respond(asked), serial, { digest: 'sha256' }).status.status).toBe('revoked');
});

test('what it cannot answer it says in the words of the protocol', async () => {
  const { house, respond, faults } = await open();
  const { serial } = await house.grant('SN-1');
  const foreign = question(house, serial);
  foreign[30] = (foreign[30] ?? 0) ^ 1;
  expect(failureOf(await respond(foreign))).toBe('unauthorized');
  expect(failureOf(await respond(Buffer.of(0x30, 0)))).toBe('malformedRequest');
  expect(faults).toEqual([]);
  house.ledger.close();
  expect(failureOf(await respond(question(house, serial)))).not.toBe('answered');
  expect(faults).toHaveLength(1);
});

test('tryLater where no signer can sign', async () => {
  const house = await openTestHouse();
  onTestFinished(() => house[Symbol.dispose]());
  const { serial } = await house.grant('SN-1');
  const answer = await house.ocsp(question(house, serial));
  expect(Buffer.from(answer.der).toString('hex')).toBe('30030a0103');
});

describe.each(['root', 'idevid', 'ldevid', 'service'])('the signer of %s', (authority) => {
  test('breaks no rule of the lint, and renews itself with a third of its time left', async () => {
    const { house, signerOf, renew } = await open();
    const signer = signerOf(authority);
    const issuer = house.authorities.get(authority)?.certificate;
    if (!signer || !issuer) throw new Error('there is no signer');
    expect(lintCertificate(signer.certificate, { kind: 'ocsp-responder', issuer })).toEqual([]);
    expect(
      Buffer.from(signer.certificate).includes(Buffer.from('06092b060105050730010504020500', 'hex')),
    ).toBe(true);
    expect(await renew()).toEqual([]);
    house.clock.pass(10 * DAY_MS);
    expect(await renew()).toContain(authority);
    const next = signerOf(authority);
    expect(next?.notAfter).toBeGreaterThan(signer.notAfter);
    expect(next?.keyId).toEqual(signer.keyId);
    const record = await house.ledger.read.findBySerial(
      parseCertificate(next?.certificate ?? signer.certificate).tbs.serial,
    );
    expect(record).toMatchObject({ profile: 'ocsp-responder', authority });
  });
});

test('a signer is renewed after the end of its authority, and answers for an IDevID, which has none', async () => {
  const { house, respond, renew } = await open();
  const { serial } = await house.grant('SN-1');
  const end = house.authorities.get('idevid')?.certificate.tbs.notAfter.at ?? 0;
  house.clock.pass(end - house.clock.now() - DAY_MS);
  for (const days of [0, 30, 30]) {
    house.clock.pass(days * DAY_MS);
    expect(await renew()).toContain('idevid');
    expect(await renew()).toEqual([]);
    house.clock.pass(1000);
    expect(judge(house, await respond(question(house, serial)), serial).status.status).toBe('good');
  }
});

describe('a signer whose certificate is taken back', () => {
  test.each([
    ['revoke', 'superseded', 'its key'],
    ['hold', undefined, 'its key'],
    ['revoke', 'keyCompromise', 'another key'],
  ] as const)(
    'after a %s for %s has another one, with %s, and no answer is given that it signed',
    async (act, reason, kept) => {
      const { house, respond, another, signerOf, renew, faults } = await open();
      const { serial } = await house.grant('SN-1');
      const asked = question(house, serial);
      const processes = [respond, another()];
      for (const one of processes) expect(judge(house, await one(asked), serial).status.status).toBe('good');
      const before = signerOf('idevid');
      if (!before) throw new Error('there is no signer');
      const by = { kind: 'serial', serial: parseCertificate(before.certificate).tbs.serial } as const;
      await house.revoker({ act, by, ...(reason && { reason }) }, 'operator:test');
      expect(await renew()).toEqual(['idevid']);
      expect(await renew()).toEqual([]);
      house.clock.pass(1000);
      const after = signerOf('idevid');
      expect(after?.certificate).not.toEqual(before.certificate);
      expect(Buffer.from(after?.keyId ?? []).equals(before.keyId)).toBe(kept === 'its key');
      for (const one of processes) {
        const answer = success(await one(asked));
        expect(answer.der.includes(Buffer.from(after?.certificate ?? []))).toBe(true);
        expect(judge(house, answer, serial).status.status).toBe('good');
      }
      expect(faults).toEqual([]);
    },
  );

  test('does not take the key of somebody else', async () => {
    const { renewal, renew } = await open();
    const files = (name: string) => renewal.files(name === 'idevid' ? 'ldevid' : name);
    const other = renewResponderCertificates({ ...renewal, files });
    expect(await codeOfAsync(other)).toBe('key-blocked');
    expect(await renew()).toEqual([]);
  });
});

test('pkijs reads the same, and finds the signature good', async () => {
  const { house, respond } = await open();
  const { serial } = await house.grant('SN-1');
  await takeBack(house, serial, 'superseded');
  const { der } = success(await respond(question(house, serial, { nonce: randomBytes(32) })));
  const bytes = OCSPResponse.fromBER(new Uint8Array(der)).responseBytes;
  if (!bytes) throw new Error('there are no bytes');
  const basic = BasicOCSPResponse.fromBER(bytes.response.valueBlock.valueHexView);
  const issuer = house.authorities.get('idevid')?.certificate.raw ?? Buffer.alloc(0);
  const { Certificate } = await import('pkijs');
  const trusted = Certificate.fromBER(new Uint8Array(issuer));
  expect(await basic.verify({ trustedCerts: [trusted] })).toBe(true);
  expect(basic.tbsResponseData.responses).toHaveLength(1);
});

describe('our own reader refuses an answer', () => {
  test.each([
    ['of another authority', { authority: 'ldevid' }],
    ['about another CertID', { digest: 'sha256' }],
  ] as const)('%s', async (_what, other) => {
    const { house, respond } = await open();
    const { serial } = await house.grant('SN-1');
    const answer = await respond(question(house, serial));
    expect(() => judge(house, answer, serial, other)).toThrow(/OCSP response/);
  });

  test('with any octet of what was signed changed', async () => {
    const { house, respond } = await open();
    const { serial } = await house.grant('SN-1');
    const answer = success(await respond(question(house, serial)));
    const { signedOctets } = readOcspResponse(answer.der);
    const start = answer.der.indexOf(Buffer.from(signedOctets));
    for (let at = start; at < start + signedOctets.length; at += 3) {
      const der = Buffer.from(answer.der);
      der[at] = (der[at] ?? 0) ^ 1;
      expect(() => judge(house, { ...answer, der }, serial)).toThrow();
    }
  });

  test('that has passed, and one with a nonce that was not sent', async () => {
    const { house, respond } = await open();
    const { serial } = await house.grant('SN-1');
    const answer = await respond(question(house, serial));
    const withNonce = await respond(question(house, serial, { nonce: randomBytes(16) }));
    expect(() => judge(house, withNonce, serial, { nonce: randomBytes(16) })).toThrow('another nonce');
    house.clock.pass(2 * DAY_MS);
    expect(() => judge(house, answer, serial)).toThrow('out of date');
  });
});
