import { describe, expect, test } from 'vitest';
import { answerSource } from '../../../src/broker-auth/ocsp/answer-source.ts';
import { createAnswerStore } from '../../../src/broker-auth/ocsp/answer-store.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import { EXTENDED_KEY_USAGE } from '../../../src/x509/extensions.ts';
import { makeCertificate, NOW } from '../../x509/path/make-certificate.ts';
import { MINUTE, maker, openListed } from '../crl/listed.ts';
import { makeMaker } from '../lab.ts';
import { type AnswerTraits, makeAnswer, makeResponder } from './make-answer.ts';

const device = maker.device('dev1');
const other = maker.device('dev2');
const about = { issuer: maker.issuer, about: device };
const responder = makeResponder(maker.issuer);
const ofCa = makeAnswer({ issuer: maker.root, about: maker.issuer, nextUpdate: NOW + 86_400_000 });

/** A gate that knows nothing but what is stapled. */
async function open() {
  let wall = NOW;
  let passed = 0;
  const clock = () => wall;
  const steady = createSteadyClock(clock, () => passed);
  const store = createAnswerStore({ clock, steady }, 100);
  const staples = answerSource({ clock, steady, store, sources: [] });
  const gate = await openListed({ withoutRoot: true, judge: { sources: [staples], staples } });
  return {
    store,
    pass(ms: number) {
      wall += ms;
      passed += ms;
      gate.pass(ms);
    },
    judge: (...stapled: readonly Uint8Array[]) => gate.judge(device, {}, [ofCa, ...stapled]),
    gate,
  };
}

describe('a stapled answer', () => {
  test.each([
    ['by its CA', {}],
    ['by a responder of that CA', { signer: responder }],
    ['with a SHA-1 CertID', { hash: 'sha1', parameters: 'null' }],
    ['with a SHA-256 CertID with NULL parameters', { parameters: 'null' }],
  ] as const)('that says good is good: %s', async (_name, traits) => {
    const { judge } = await open();
    expect(judge()).toMatchObject({ reason: 'statusUnknown' });
    expect(judge(makeAnswer({ ...about, ...traits }))).toMatchObject({
      reason: 'ok',
      status: { source: 'ocsp', ageMs: 1000 },
    });
    // It is known then, whoever staples nothing.
    expect(judge()).toMatchObject({ reason: 'ok' });
  });

  test.each<[string, AnswerTraits['status'], string]>([
    ['revoked', { status: 'revoked', revokedAt: NOW - 5000, reason: 1 }, 'revoked'],
    ['held', { status: 'revoked', revokedAt: NOW - 5000, reason: 6 }, 'onHold'],
    ['unknown', { status: 'unknown' }, 'statusUnknown'],
  ])('that says %s denies', async (_name, status, reason) => {
    const { judge } = await open();
    expect(judge(makeAnswer({ ...about, ...(status && { status }) })).reason).toBe(reason);
  });

  const stranger = makeMaker('own');
  const serverOnly = makeResponder(maker.issuer, { purposes: [EXTENDED_KEY_USAGE.any] });
  const expired = makeResponder(maker.issuer, { fields: { notAfter: NOW - 10 * MINUTE } });
  const cannotSign = makeResponder(maker.issuer, { keyUsage: ['keyEncipherment'] });
  test.each<[string, Uint8Array, string]>([
    ['about another certificate', makeAnswer({ ...about, about: other }), 'about none of the path'],
    ['that is over', makeAnswer({ ...about, nextUpdate: NOW - 6 * MINUTE }), 'out of date'],
    ['of the future', makeAnswer({ ...about, thisUpdate: NOW + 6 * MINUTE }), 'of the future'],
    [
      'by a CA of the same name',
      makeAnswer({ ...about, signer: stranger.issuer }),
      'authority did not certify',
    ],
    ['by the CA above', makeAnswer({ ...about, signer: maker.root }), 'authority did not certify'],
    ['by a device', makeAnswer({ ...about, signer: other }), 'without the purpose OCSPSigning'],
    ['by any purpose', makeAnswer({ ...about, signer: serverOnly }), 'without the purpose OCSPSigning'],
    ['by a responder that has ended', makeAnswer({ ...about, signer: expired }), 'not valid now'],
    ['by one that may not sign', makeAnswer({ ...about, signer: cannotSign }), 'lacks digitalSignature'],
    ['cut short', makeAnswer(about).subarray(0, -3), 'certificate'],
    ['without an end', Buffer.alloc(70_000), 'more than 65536 octets'],
  ])('is not taken: %s', async (_name, stapled, why) => {
    const { judge, store } = await open();
    expect(judge()).toMatchObject({ reason: 'statusUnknown' });
    const verdict = judge(stapled);
    expect(verdict.reason).toBe('statusUnknown');
    if (!_name.includes('short')) expect('detail' in verdict && verdict.detail).toContain(why);
    expect(store.size).toBe(1);
  });
  test('is not taken with one octet changed, wherever', async () => {
    const { judge } = await open();
    const answer = makeAnswer({ ...about, signer: responder });
    for (let at = 0; at < answer.length; at += 17) {
      const spoilt = Buffer.from(answer);
      spoilt[at] = (spoilt[at] ?? 0) ^ 1;
      expect([at, judge(spoilt).reason]).toEqual([at, 'statusUnknown']);
    }
    expect(judge(answer).reason).toBe('ok');
  });
  test('by a responder that was taken back is not taken', async () => {
    const { gate } = await open();
    await gate.give({ issuer: maker.root });
    const clock = () => NOW;
    const steady = createSteadyClock(clock, clock);
    const staples = answerSource({
      ...{ clock, steady, store: createAnswerStore({ clock, steady }, 100) },
      sources: [gate.source],
    });
    const credential = gate.judge(device).credential;
    if (!credential) throw new Error('it has no path');
    expect(staples.offer(credential, [makeAnswer({ ...about, signer: responder })])).toBeUndefined();
    const another = makeResponder(maker.issuer);
    await gate.give({ listed: [{ certificate: another, reason: 1 }] });
    const stapled = makeAnswer({ ...about, signer: another });
    expect(staples.offer(credential, [stapled])).toContain('has a signer that is revoked');
  });

  test('of before a revocation does not undo it', async () => {
    const { judge } = await open();
    const early = makeAnswer({ ...about, thisUpdate: NOW - 10 * MINUTE });
    const revoked = { status: 'revoked', revokedAt: NOW - 5000 } as const;
    expect(judge(makeAnswer({ ...about, status: revoked })).reason).toBe('revoked');
    expect(judge(early).reason).toBe('revoked');
    // Revoked is for good (RFC 5280 §5.3.1).
    expect(judge(makeAnswer({ ...about, thisUpdate: NOW })).reason).toBe('revoked');
  });
  test('of before a hold does not end it, and one of after does', async () => {
    const { judge } = await open();
    const held = { status: 'revoked', revokedAt: NOW - 5000, reason: 6 } as const;
    expect(judge(makeAnswer({ ...about, status: held, thisUpdate: NOW - 60_000 })).reason).toBe('onHold');
    expect(judge(makeAnswer({ ...about, thisUpdate: NOW - 120_000 })).reason).toBe('onHold');
    expect(judge(makeAnswer(about)).reason).toBe('ok');
  });
  test('is over with its nextUpdate', async () => {
    const { judge, pass } = await open();
    const answer = makeAnswer({ ...about, nextUpdate: NOW + 10 * MINUTE });
    expect(judge(answer).reason).toBe('ok');
    pass(10 * MINUTE + 1);
    expect(judge(answer).reason).toBe('statusUnknown');
  });
  test('of a certificate without a path is not looked at', async () => {
    const { gate, store } = await open();
    const stray = makeCertificate({ issuer: makeMaker('acme').issuer });
    expect(gate.judge(stray, {}, [ofCa]).reason).not.toBe('ok');
    expect(store.size).toBe(0);
  });
});

describe('answers that are kept', () => {
  const clock = () => NOW;
  const steady = createSteadyClock(clock, clock);
  const id = { issuerKeyId: 'ab'.repeat(20), serial: '0a' };
  const single = { thisUpdate: NOW - 1000, nextUpdate: NOW + 1000 };
  test('are there after a start, with their age, and lines that are broken are not', () => {
    const before = createAnswerStore({ clock, steady }, 10);
    before.put(id, { ...single, status: { status: 'revoked', revokedAt: NOW - 9000, reason: 4 } });
    before.put({ ...id, serial: '0b' }, { ...single, status: { status: 'good' } });
    const after = createAnswerStore(
      { clock: () => NOW + 500, steady: createSteadyClock(() => NOW + 500, clock) },
      10,
    );
    after.load(`${before.toText()}{"issuerKeyId":"ab\n{}\n`);
    expect(after.size).toBe(2);
    expect(after.get(id)).toMatchObject({ status: 'revoked', reason: 'superseded', since: NOW - 9000 });
    expect(after.get({ ...id, serial: '0b' })).toMatchObject({ asOf: NOW - 1000, until: NOW + 1000 });
  });
  test('are of no age that anybody knows where the clock stands before what was seen', () => {
    const store = createAnswerStore({ clock, steady, seen: NOW + 3_600_000 }, 10);
    store.put(id, { ...single, status: { status: 'good' } });
    expect(store.get(id)?.until).toBe(Number.NEGATIVE_INFINITY);
  });
  test('are not more than there is room for', () => {
    const store = createAnswerStore({ clock, steady }, 3);
    for (let at = 0; at < 9; at += 1)
      store.put({ ...id, serial: `0${at}` }, { ...single, status: { status: 'good' } });
    expect(store.size).toBe(3);
    expect(store.get({ ...id, serial: '08' })).toBeDefined();
  });
});
