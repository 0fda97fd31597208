import { describe, expect, test } from 'vitest';
import { nullValue } from '../../../src/x509/der/values.ts';
import {
  authorityKeyIdentifier,
  crlDistributionPoints,
  crlNumber,
  deltaCrlIndicator,
  EXTENSION,
  extension,
} from '../../../src/x509/extensions.ts';
import { testClock } from '../../house.ts';
import { NOW } from '../../x509/path/make-certificate.ts';
import { idOf, named, toldStatus } from '../lab.ts';
import { byUrl, DAY, flag, idp, MINUTE, maker, openListed, someReasons } from './listed.ts';

const fields = { notBefore: NOW - 4000 * DAY, notAfter: NOW + 4000 * DAY };
const device = maker.device('dev1', { fields: { ...named('dev1').fields, ...fields } });
const other = maker.device('dev2');
const URL = 'http://crl.example/1';
const sharded = maker.device('dev3', { extra: [crlDistributionPoints(URL)] });

describe('a full list', () => {
  test('says who is good, by whom that is known, and how old it is', async () => {
    const gate = await openListed();
    await gate.give({ listed: [{ certificate: other, reason: 1 }] });
    expect(gate.judge(device)).toMatchObject({ reason: 'ok', status: { source: 'crl', ageMs: 2000 } });
    expect(gate.judge(other)).toMatchObject({
      reason: 'revoked',
      detail: expect.stringContaining('keyCompromise'),
      status: { source: 'crl' },
    });
  });
  test.each([
    [1, 'revoked'],
    [6, 'onHold'],
    [undefined, 'revoked'],
  ])('with reason %s makes it %s', async (reason, verdict) => {
    const gate = await openListed();
    await gate.give({ listed: [{ certificate: device, ...(reason !== undefined && { reason }) }] });
    expect(gate.reason(device)).toBe(verdict);
  });
  test('of the issuing CA alone leaves the status of that CA unknown', async () => {
    const gate = await openListed({ withoutRoot: true });
    await gate.give();
    expect(gate.judge(device)).toMatchObject({
      reason: 'statusUnknown',
      detail: 'nothing is known of its status: no list of its CA is there yet',
    });
    await gate.give({ issuer: maker.root });
    expect(gate.reason(device)).toBe('ok');
    await gate.give({ issuer: maker.root, number: 2, listed: [{ certificate: maker.issuer, reason: 2 }] });
    expect(gate.reason(device)).toBe('revoked');
  });
  test('that was replaced says nothing any more, and a hold ends with it', async () => {
    const gate = await openListed();
    await gate.give({ number: 5, listed: [{ certificate: device, reason: 6 }] });
    expect(gate.reason(device)).toBe('onHold');
    await gate.give({ number: 6 });
    expect(gate.reason(device)).toBe('ok');
  });
});

describe('a list that is over', () => {
  const nextUpdate = NOW + 10 * MINUTE;
  test.each([
    ['hard', 'statusUnknown'],
    ['soft', 'ok'],
    ['off', 'ok'],
  ] as const)('is good for nobody: %s says %s', async (status, verdict) => {
    const gate = await openListed();
    await gate.give({ nextUpdate });
    const listener = { preset: 'open', status } as const;
    gate.pass(10 * MINUTE);
    expect(gate.judge(device, listener)).not.toHaveProperty('status.gap');
    gate.pass(1);
    expect(gate.reason(device, listener)).toBe(verdict);
    if (status === 'soft')
      expect(gate.judge(device, listener)).toMatchObject({ status: { source: 'crl', gap: 'stale' } });
  });
  test('is taken for the grace of the listener, and no longer', async () => {
    const gate = await openListed();
    await gate.give({ nextUpdate });
    gate.pass(15 * MINUTE);
    const listener = { listGraceSeconds: 300 };
    expect(gate.reason(device, listener)).toBe('ok');
    expect(gate.reason(device)).toBe('statusUnknown');
    gate.pass(1);
    expect(gate.reason(device, listener)).toBe('statusUnknown');
  });
  test('is over before its nextUpdate where the listener wants fresher ones', async () => {
    const gate = await openListed();
    await gate.give({ issuer: maker.root, number: 2 });
    await gate.give();
    const listener = { maxListAgeSeconds: 60 };
    gate.pass(MINUTE - 1000);
    expect(gate.reason(device, listener)).toBe('ok');
    gate.pass(1);
    expect(gate.reason(device, listener)).toBe('statusUnknown');
    expect(gate.reason(device)).toBe('ok');
  });
  test('still tells who was revoked, to a soft listener too', async () => {
    const gate = await openListed();
    await gate.give({ nextUpdate, listed: [{ certificate: device }] });
    gate.pass(2 * 60 * MINUTE);
    expect(gate.reason(device, { preset: 'private-network' })).toBe('revoked');
  });
});

describe('the scope of a list', () => {
  test.each([
    ['all of it', [], 'ok'],
    ['end entities', [flag(1)], 'ok'],
    ['CAs', [flag(2)], 'statusUnknown'],
    ['another distribution point', [byUrl('http://crl.example/2')], 'statusUnknown'],
    ['the same one in other letters', [byUrl('http://CRL.example/1')], 'statusUnknown'],
    ['its distribution point', [byUrl(URL)], 'ok'],
    ['some reasons', [someReasons(1, 2)], 'statusUnknown'],
  ] as const)('decides whether it speaks of a certificate: %s', async (_name, parts, verdict) => {
    const gate = await openListed();
    await gate.give(parts.length === 0 ? {} : { extra: [idp(...parts)] });
    expect(gate.reason(sharded)).toBe(verdict);
  });
  test('is not met by a shard where the certificate names none', async () => {
    const gate = await openListed();
    await gate.give({ extra: [idp(byUrl(URL))] });
    expect(gate.judge(device)).toMatchObject({
      reason: 'statusUnknown',
      detail: expect.stringContaining('none is for its distribution points'),
    });
    expect(gate.reason(sharded)).toBe('ok');
  });
  test('may be divided by reasons, and all of them are needed', async () => {
    const gate = await openListed();
    await gate.give({ number: 1, extra: [idp(someReasons(1, 2, 3))] });
    expect(gate.reason(device)).toBe('statusUnknown');
    await gate.give({ number: 2, extra: [idp(someReasons(4, 5, 6, 7, 8))] });
    expect(gate.reason(device)).toBe('ok');
    await gate.give({
      number: 3,
      extra: [idp(someReasons(1, 2, 3))],
      listed: [{ certificate: device, reason: 1 }],
    });
    expect(gate.reason(device)).toBe('revoked');
  });
  test('of many shards is found for each certificate, and each shard lists its own', async () => {
    const gate = await openListed();
    const urls = Array.from({ length: 20 }, (_none, at) => `http://crl.example/s/${at}`);
    const devices = urls.map((url, at) => maker.device(`s${at}`, { extra: [crlDistributionPoints(url)] }));
    for (const [at, url] of urls.entries()) {
      const certificate = devices[at];
      await gate.give({
        extra: [idp(byUrl(url), flag(1))],
        listed: certificate && at % 2 === 0 ? [{ certificate, reason: 4 }] : [],
      });
    }
    expect(devices.map((one) => gate.reason(one))).toEqual(
      urls.map((_url, at) => (at % 2 === 0 ? 'revoked' : 'ok')),
    );
  });
});

function underAnotherKey(base: number) {
  return [authorityKeyIdentifier(new Uint8Array(20)), crlNumber(12), deltaCrlIndicator(base)];
}

describe('a delta', () => {
  const base = { number: 10, nextUpdate: NOW + 60 * MINUTE };
  const delta = { base: 10, number: 12, nextUpdate: NOW + 5 * MINUTE, thisUpdate: NOW };
  test('adds to its base and takes from it', async () => {
    const gate = await openListed();
    await gate.give({ ...base, listed: [{ certificate: other, reason: 6 }] });
    await gate.give({
      ...delta,
      listed: [
        { certificate: device, reason: 1 },
        { certificate: other, reason: 8 },
      ],
    });
    expect(gate.reason(device)).toBe('revoked');
    expect(gate.judge(other)).toMatchObject({ reason: 'ok' });
    expect(gate.judge(sharded)).toMatchObject({ reason: 'ok' });
  });
  test('gives both its dates, and leaves its base behind when it is over', async () => {
    const gate = await openListed();
    await gate.give(base);
    await gate.give(delta);
    gate.pass(4 * MINUTE);
    const [id] = gate.judge(device).credential?.path ?? [];
    expect(id && gate.source.statusOf(id)).toMatchObject({ ageMs: 4 * MINUTE, leftMs: MINUTE });
    gate.pass(2 * MINUTE);
    expect(id && gate.source.statusOf(id)).toMatchObject({ ageMs: 6 * MINUTE + 1000, leftMs: 54 * MINUTE });
    // The base is good for itself, and older.
    expect(gate.judge(device)).toMatchObject({ reason: 'ok', status: { source: 'crl' } });
    gate.pass(60 * MINUTE);
    expect(gate.reason(device)).toBe('statusUnknown');
  });
  test('keeps a base alive whose own time is over', async () => {
    const gate = await openListed();
    await gate.give({ ...base, nextUpdate: NOW + MINUTE });
    await gate.give({ ...delta, nextUpdate: NOW + 30 * MINUTE });
    gate.pass(20 * MINUTE);
    expect(gate.reason(device)).toBe('ok');
  });
  test.each([
    ['of a later base', { base: 11 }],
    ['under another key identifier', { only: underAnotherKey(10) }],
  ])('%s makes nobody good, and still takes back', async (_name, traits) => {
    const gate = await openListed();
    await gate.give({ ...base, listed: [{ certificate: other, reason: 6 }] });
    const listed = [{ certificate: other, reason: 8 }, { certificate: device }];
    expect(await gate.give({ ...delta, listed, ...traits })).toBe('taken');
    expect(gate.reason(other)).toBe('onHold');
    expect(gate.reason(device)).toBe('revoked');
  });
  test('that is over releases nobody', async () => {
    const gate = await openListed();
    await gate.give({ ...base, listed: [{ certificate: other, reason: 6 }] });
    await gate.give({ ...delta, listed: [{ certificate: other, reason: 8 }, { certificate: device }] });
    expect(gate.reason(other)).toBe('ok');
    gate.pass(6 * MINUTE);
    expect(gate.reason(other)).toBe('onHold');
    expect(gate.reason(device)).toBe('revoked');
  });
  test('without a base is good for nobody', async () => {
    const gate = await openListed();
    await gate.give({ ...delta, listed: [{ certificate: device }] });
    expect(gate.reason(sharded)).toBe('statusUnknown');
    expect(gate.reason(device)).toBe('revoked');
  });
  test('of before a new base says nothing any more', async () => {
    const gate = await openListed();
    await gate.give(base);
    await gate.give({ ...delta, listed: [{ certificate: device, reason: 6 }] });
    expect(gate.reason(device)).toBe('onHold');
    await gate.give({ ...base, number: 12, thisUpdate: NOW - 200 });
    expect(gate.reason(device)).toBe('ok');
  });
});

describe('beside the feed', () => {
  test('whoever says revoked is believed, and who looked last of what is good', async () => {
    const clock = testClock(NOW);
    const feed = toldStatus(clock, [maker.root, maker.issuer]);
    const gate = await openListed({ judge: { sources: [feed] } });
    await gate.give();
    expect(gate.judge(device)).toMatchObject({ reason: 'ok', status: { source: 'feed', ageMs: 0 } });
    // The feed is stale, the list is not.
    feed.asOf = NOW - DAY;
    expect(gate.judge(device)).toMatchObject({ reason: 'ok', status: { source: 'crl' } });
    feed.tell(device, maker.issuer, 'revoked');
    expect(gate.reason(device)).toBe('revoked');
    feed.tell(device, maker.issuer, 'good');
    await gate.give({ number: 2, listed: [{ certificate: device }] });
    expect(gate.reason(device)).toBe('revoked');
  });
  test('a hold that the newer of them tells is heeded even where it is stale', async () => {
    const clock = testClock(NOW);
    const feed = toldStatus(clock, [maker.root, maker.issuer]);
    const gate = await openListed({ judge: { sources: [feed] } });
    await gate.give({ thisUpdate: NOW - 2 * DAY });
    feed.asOf = NOW - DAY;
    feed.tell(device, maker.issuer, 'held');
    expect(gate.reason(device)).toBe('onHold');
  });
});

describe('a certificate that says that it is never taken back (RFC 9608)', () => {
  const free = maker.device('dev9', { extra: [extension(EXTENSION.noRevAvail, false, nullValue())] });
  test('is denied where the listener does not say otherwise, and let in where it does', async () => {
    const gate = await openListed({ issuers: [maker.root.der] });
    expect(gate.reason(free)).toBe('statusUnknown');
    expect(gate.judge(free, { withoutRevocation: 'accepted' })).toMatchObject({ reason: 'ok' });
    expect(gate.reason(device, { withoutRevocation: 'accepted' })).toBe('statusUnknown');
  });
  test('counts for nothing where a list has it, nor for the CA above it', async () => {
    const gate = await openListed();
    await gate.give({ listed: [{ certificate: free }] });
    expect(gate.reason(free, { withoutRevocation: 'accepted' })).toBe('revoked');
    const alone = await openListed({ withoutRoot: true });
    expect(alone.reason(free, { withoutRevocation: 'accepted' })).toBe('statusUnknown');
  });
});

describe.each([
  ['a day', DAY],
  ['a decade', 3652 * DAY],
])('a clock that is set wrong by %s', (_name, far) => {
  const nextUpdate = NOW + 10 * MINUTE;
  test('backwards makes no list last longer', async () => {
    const gate = await openListed();
    await gate.give({ nextUpdate });
    gate.pass(5 * MINUTE);
    gate.set(-far);
    const [id] = (await fresh()).judge(device).credential?.path ?? [];
    if (!id) throw new Error('it has no path');
    const known = () => gate.source.statusOf(id);
    expect(known()).toMatchObject({ status: 'good', leftMs: 5 * MINUTE, ageMs: 5 * MINUTE + 1000 });
    // The same list once more makes nothing younger.
    expect(await gate.give({ nextUpdate })).not.toBe('taken');
    gate.pass(6 * MINUTE);
    expect(known()).toMatchObject({ leftMs: -MINUTE });
  });
  test('forwards ends it at once', async () => {
    const gate = await openListed();
    await gate.give({ nextUpdate, listed: [{ certificate: other }] });
    gate.set(far);
    expect(gate.source.statusOf(idOf(other, maker.issuer))).toMatchObject({ status: 'revoked' });
    gate.set(-far);
    expect(gate.reason(device)).toBe('statusUnknown');
    // What comes anew is good again.
    await gate.give({ number: 2, nextUpdate });
    await gate.give({ issuer: maker.root, number: 2 });
    expect(gate.reason(device)).toBe('ok');
  });
  test('before what was seen at the run before makes nothing of then look fresh', async () => {
    const gate = await openListed({ at: NOW, seen: NOW + far });
    await gate.give({ listed: [{ certificate: other }] });
    expect(gate.reason(device)).toBe('statusUnknown');
    expect(gate.reason(other)).toBe('revoked');
  });

  async function fresh() {
    const gate = await openListed();
    await gate.give();
    return gate;
  }
});
