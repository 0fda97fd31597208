import { describe, expect, test } from 'vitest';
import { readListIssuer } from '../../../src/broker-auth/crl/list-issuer.ts';
import { integer, nullValue } from '../../../src/x509/der/values.ts';
import { extension } from '../../../src/x509/extensions.ts';
import { makeAuthority, NOW } from '../../x509/path/make-certificate.ts';
import { makeCrl } from '../../x509/path/make-crl.ts';
import { sampleKey } from '../../x509/samples.ts';
import { makeMaker } from '../lab.ts';
import { byUrl, DAY, flag, idp, MINUTE, maker, openListed } from './listed.ts';

const device = maker.device('dev1');

describe('a list is taken', () => {
  test('and is the same when it comes again', async () => {
    const gate = await openListed();
    const der = makeCrl({ issuer: maker.issuer });
    expect((await gate.offer(der)).outcome).toBe('taken');
    expect((await gate.offer(der)).outcome).toBe('known');
  });
  test('of a CA under each of its keys', async () => {
    const older = makeAuthority({ cn: 'own CA', issuer: maker.root });
    const gate = await openListed({ issuers: [maker.root.der, older.der, maker.issuer.der] });
    expect(await gate.give()).toBe('taken');
    expect(await gate.give({ issuer: older })).toBe('taken');
    expect(gate.reason(device)).toBe('ok');
  });
  test('a little ahead of our clock', async () => {
    const gate = await openListed();
    expect(await gate.give({ thisUpdate: NOW + 4 * MINUTE })).toBe('taken');
  });
});

describe('a list is refused, and leaves the one that is held,', () => {
  const unknown = (critical: boolean) => extension('1.3.6.1.4.1.99999.7', critical, nullValue());
  test.each([
    ['signed with another key under the same name', { key: sampleKey('P-256') }, 'not signed with the key'],
    ['of another CA', { issuer: makeMaker('acme').issuer }, 'a CA whose lists are not looked for'],
    ['of the future', { thisUpdate: NOW + 6 * MINUTE }, 'from the future'],
    ['with a lower number', { number: 4, thisUpdate: NOW }, 'number 4 is below 5'],
    ['older in time', { number: 6, thisUpdate: NOW - 5000 }, 'older than the one'],
    ['of the same number and time', { number: 5, listed: [] }, 'another list with number 5'],
    [
      'with a critical extension that nobody knows',
      { number: 6, extra: [unknown(true)] },
      'critical extension',
    ],
    [
      'with such an extension in an entry',
      { number: 6, listed: [{ certificate: device, extra: [unknown(true)] }] },
      'critical extension',
    ],
    ['indirect', { number: 6, extra: [idp(flag(4))] }, 'indirect'],
    ['of attribute certificates', { number: 6, extra: [idp(flag(5))] }, 'attribute certificates'],
    ['without a number', { only: [unknown(false)] }, 'no cRLNumber'],
    [
      'with a certificate twice',
      { number: 6, listed: [{ certificate: device }, { certificate: device }] },
      'twice',
    ],
  ])('%s', async (_name, traits, why) => {
    const gate = await openListed();
    expect(await gate.give({ number: 5, listed: [{ certificate: device, reason: 4 }] })).toBe('taken');
    const [before] = gate.store.slotsOf(readListIssuer(maker.issuer.der).keyIdText) ?? [];
    expect(await gate.give({ nextUpdate: NOW + DAY, ...traits })).toContain(why);
    expect(before?.base?.frame.number).toBe(5n);
    expect(gate.reason(device)).toBe('revoked');
  });
  test.each([
    ['cut short', (der: Buffer) => der.subarray(0, -20)],
    ['followed by something', (der: Buffer) => Buffer.concat([der, Buffer.of(0)])],
    ['empty', () => Buffer.of()],
    ['something else', () => maker.root.der],
    ['with an octet changed', (der: Buffer) => changed(der)],
  ])('%s', async (_name, spoil) => {
    const gate = await openListed();
    await gate.give({ number: 5, listed: [{ certificate: device, reason: 4 }] });
    const found = await gate.offer(spoil(makeCrl({ issuer: maker.issuer, number: 6 })));
    expect(found.outcome).toBe('refused');
    expect(gate.reason(device)).toBe('revoked');
  });

  function changed(der: Buffer): Buffer {
    const spoilt = Buffer.from(der);
    spoilt[der.length - 90] = (spoilt[der.length - 90] ?? 0) ^ 1;
    return spoilt;
  }
});

test('numbers of a scope, and of its deltas, grow for themselves', async () => {
  const gate = await openListed();
  const shard = { extra: [idp(byUrl('http://crl.example/1'))] };
  expect(await gate.give({ number: 9 })).toBe('taken');
  expect(await gate.give({ number: 2, ...shard })).toBe('taken');
  expect(await gate.give({ number: 12, base: 9 })).toBe('taken');
  expect(await gate.give({ number: 11, thisUpdate: NOW - 100 })).toBe('taken');
  expect(await gate.give({ number: 11, base: 9, thisUpdate: NOW })).toContain('number 11 is below 12');
  expect(await gate.give({ number: 1, ...shard, thisUpdate: NOW })).toContain('number 1 is below 2');
});

test('a delta whose indicator is not critical is refused (RFC 5280 §5.2.4)', async () => {
  const gate = await openListed();
  const lax = extension('2.5.29.27', false, integer(1));
  expect(await gate.give({ number: 2, extra: [lax] })).toContain('deltaCRLIndicator is not critical');
});

test('lists that come together are taken one after the other: the newest stays', async () => {
  const gate = await openListed();
  const all = [3, 1, 2].map((number) =>
    makeCrl({ issuer: maker.issuer, number, thisUpdate: NOW - 1000 + number }),
  );
  const outcomes = await Promise.all(all.map((der) => gate.offer(der)));
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['taken', 'refused', 'refused']);
});

test('a CA that may sign no lists is refused at start (RFC 10007)', () => {
  const without = makeAuthority({ cn: 'CA', keyUsage: ['keyCertSign'] });
  const absent = makeAuthority({ cn: 'CA', keyUsage: 'absent' });
  for (const { der } of [without, absent, device])
    expect(() => readListIssuer(der)).toThrow('may not sign lists');
  expect(readListIssuer(maker.issuer.der).keyIdText).toMatch(/^[0-9a-f]{40}$/);
});
