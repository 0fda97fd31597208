import { describe, expect, test } from 'vitest';
import { readCrl } from '../../../src/x509/crl-reader.ts';
import { constructed, type Der, explicit, primitive, sequence } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { ia5String, namedBits, nullValue } from '../../../src/x509/der/values.ts';
import * as extensions from '../../../src/x509/extensions.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { type PathInput, validatePath } from '../../../src/x509/path/validate-path.ts';
import { sampleKey } from '../samples.ts';
import { makeAuthority, makeCertificate, NOW, type Party } from './make-certificate.ts';
import { type CrlTraits, makeCrl } from './make-crl.ts';

const { EXTENSION, extension } = extensions;
const root = makeAuthority({ cn: 'root' });
const ca = makeAuthority({ issuer: root });
const leaf = makeCertificate({ issuer: ca });
const URL = 'http://crl.example/1';
const named = makeCertificate({ issuer: ca, extra: [extensions.crlDistributionPoints(URL)] });
const byUrl = (url: string) => explicit(0, explicit(0, ia5String(url, TAG.context | 6)));
const flag = (number: number) => primitive(TAG.context | number, Uint8Array.of(0xff));
const idp = (...fields: readonly Der[]) =>
  extension(EXTENSION.issuingDistributionPoint, true, sequence(...fields));
const reasonFlags = (number: number, ...bits: readonly number[]) => ({
  ...namedBits(bits),
  tag: TAG.context | number,
});
const unknown = (critical: boolean) => extension('1.3.6.1.4.1.99999.7', critical, nullValue());
const noRevAvail = extension(EXTENSION.noRevAvail, false, nullValue());

function statusOf(
  judged: Party,
  crls: readonly Partial<CrlTraits>[],
  input: Partial<PathInput> = {},
  along: readonly Party[] = [],
) {
  return validatePath(judged.der, {
    trust: openTrust({ anchors: [root.der], intermediates: [ca.der] }),
    untrusted: along.map(({ der }) => der),
    at: NOW,
    purpose: 'any',
    status: 'leaf',
    crls: crls.map((traits) => readCrl(makeCrl({ issuer: ca, ...traits }))),
    ...input,
  });
}

describe('one list', () => {
  test('without the certificate is good until its nextUpdate', () => {
    const nextUpdate = NOW + 60_000;
    expect(statusOf(leaf, [{ nextUpdate, listed: [{ certificate: ca }] }])).toMatchObject({
      reason: 'ok',
      lookAgainAt: nextUpdate,
    });
  });

  test('with the certificate tells why and since when', () => {
    expect(statusOf(leaf, [{ listed: [{ certificate: leaf, reason: 1 }] }])).toMatchObject({
      reason: 'revoked',
      revocationReason: 'keyCompromise',
      revokedAt: NOW - 5000,
    });
    expect(statusOf(leaf, [{ listed: [{ certificate: leaf }] }])).toMatchObject({
      revocationReason: 'unspecified',
    });
    expect(statusOf(leaf, [{ listed: [{ certificate: leaf, reason: 6 }] }])).toMatchObject({
      reason: 'onHold',
    });
  });

  test('is not asked where no status is wanted', () => {
    expect(statusOf(leaf, [{ listed: [{ certificate: leaf }] }], { status: 'none' }).reason).toBe('ok');
  });

  test('is not asked where the signature is another’s: its word would be on another certificate', () => {
    const forged = makeCertificate({ issuer: { ...ca, key: sampleKey('P-256') } });
    expect(statusOf(forged, [{ listed: [{ certificate: forged }] }]).reason).toBe('badSignature');
  });
});

describe('the status is not known', () => {
  const signer = makeAuthority({ cn: 'signer', issuer: root });
  test.each<[string, string, Party, readonly Partial<CrlTraits>[]]>([
    ['without a list', 'unknown', leaf, []],
    ['from a list of another issuer', 'unknown', leaf, [{ issuer: signer }]],
    ['from a list of another key', 'unknown', leaf, [{ key: sampleKey('P-256') }]],
    ['from a list of the future', 'unknown', leaf, [{ thisUpdate: NOW + 400_000 }]],
    ['from a list that is stale', 'stale', leaf, [{ nextUpdate: NOW - 1 }]],
    ['from a list with an unknown critical extension', 'unknown', leaf, [{ extra: [unknown(true)] }]],
    [
      'from a list whose entry has one',
      'unknown',
      leaf,
      [{ listed: [{ certificate: ca, extra: [unknown(true)] }] }],
    ],
    [
      'from a list that names a certificate twice',
      'unknown',
      leaf,
      [{ listed: [{ certificate: ca }, { certificate: ca }] }],
    ],
    ['from a list without a number', 'unknown', leaf, [{ only: [unknown(false)] }]],
    ['from a delta alone', 'unknown', leaf, [{ base: 1, number: 2 }]],
    ['from a list for CAs', 'unknown', leaf, [{ extra: [idp(flag(2))] }]],
    ['from a list for attribute certificates', 'unknown', leaf, [{ extra: [idp(flag(5))] }]],
    ['from a part that the certificate does not name', 'unknown', leaf, [{ extra: [idp(byUrl(URL))] }]],
    ['from another part than the one that it names', 'unknown', named, [{ extra: [idp(byUrl(`${URL}1`))] }]],
    ['for all reasons from a list for some', 'unknown', leaf, [{ extra: [idp(reasonFlags(3, 1, 2))] }]],
  ])('%s', (_, gap, judged, crls) => {
    expect(statusOf(judged, crls)).toMatchObject({ reason: 'statusUnknown', gap });
  });

  test('of a CA from a list for users', () => {
    const crls = [{ issuer: root, extra: [idp(flag(1))] }, {}];
    expect(statusOf(leaf, crls, { status: 'chain' })).toMatchObject({ reason: 'statusUnknown' });
    expect(statusOf(leaf, [{ issuer: root, extra: [idp(flag(2))] }, {}], { status: 'chain' }).reason).toBe(
      'ok',
    );
  });

  test('where the CA may not sign lists (RFC 10007: its keyUsage must say so)', () => {
    for (const keyUsage of ['absent', ['keyCertSign']] as const) {
      const mute = makeAuthority({ cn: 'mute', issuer: root, keyUsage });
      const judged = makeCertificate({ issuer: mute });
      expect(statusOf(judged, [{ issuer: mute }], {}, [mute])).toMatchObject({ reason: 'statusUnknown' });
    }
  });
});

describe('parts of a list', () => {
  test('by the name that the certificate gives, and for users', () => {
    expect(statusOf(named, [{ extra: [idp(byUrl(URL), flag(1))] }]).reason).toBe('ok');
    const listed = [{ certificate: named }];
    expect(statusOf(named, [{ extra: [idp(byUrl(URL), flag(1))], listed }]).reason).toBe('revoked');
  });

  test('by reasons, which together cover all', () => {
    const some = { extra: [idp(reasonFlags(3, 1, 2))] };
    const rest = { extra: [idp(reasonFlags(3, 3, 4, 5, 6, 7, 8))] };
    expect(statusOf(leaf, [some, rest]).reason).toBe('ok');
    expect(statusOf(leaf, [some, { ...rest, listed: [{ certificate: leaf, reason: 4 }] }]).reason).toBe(
      'revoked',
    );
  });

  test('under another issuer, which the certificate names and the list admits', () => {
    const indirect = makeAuthority({ cn: 'lists', issuer: root, keyUsage: ['cRLSign', 'keyCertSign'] });
    const crlIssuer = constructed(TAG.contextConstructed | 2, [explicit(4, indirect.name)]);
    const judged = makeCertificate({
      issuer: ca,
      extra: [extension(EXTENSION.crlDistributionPoints, false, sequence(sequence(byUrl(URL), crlIssuer)))],
    });
    const of = (party: Party) => extension('2.5.29.29', true, sequence(explicit(4, party.name)));
    const list = (extra: readonly Der[], by = indirect) => [
      { issuer: by, extra: [idp(byUrl(URL), flag(4))], listed: [{ certificate: judged, extra }] },
    ];
    expect(statusOf(judged, list([of(ca)]), {}, [indirect]).reason).toBe('revoked');
    expect(statusOf(judged, list([of(root)]), {}, [indirect]).reason).toBe('ok');
    const direct = [{ issuer: indirect, extra: [idp(byUrl(URL))] }];
    expect(statusOf(judged, direct, {}, [indirect])).toMatchObject({ reason: 'statusUnknown' });
    const elsewhere = makeAuthority({ cn: 'lists' });
    expect(statusOf(judged, list([of(root)], elsewhere), {}, [elsewhere])).toMatchObject({
      reason: 'statusUnknown',
    });
  });
});

describe('a delta', () => {
  const held = { listed: [{ certificate: leaf, reason: 6 }] };
  const delta = (traits: Partial<CrlTraits>) => ({ base: 1, number: 3, ...traits });

  test('adds a certificate', () => {
    expect(statusOf(leaf, [{}, delta({ listed: [{ certificate: leaf, reason: 1 }] })]).reason).toBe(
      'revoked',
    );
  });

  test('releases one from hold', () => {
    expect(statusOf(leaf, [held, delta({ listed: [{ certificate: leaf, reason: 8 }] })]).reason).toBe('ok');
  });

  test('keeps a list current', () => {
    expect(statusOf(leaf, [{ nextUpdate: NOW - 1 }, delta({})]).reason).toBe('ok');
  });

  test.each<[string, Partial<CrlTraits>]>([
    ['starts from a later list', { base: 2 }],
    ['is older than the list', { number: 1, base: 0 }],
    ['is of another scope', { extra: [idp(flag(1))] }],
    ['is stale', { nextUpdate: NOW - 1 }],
    ['is of another key', { key: sampleKey('P-256') }],
  ])('does nothing where it %s', (_, traits) => {
    const release = { listed: [{ certificate: leaf, reason: 8 }], ...traits };
    expect(statusOf(leaf, [held, delta(release)]).reason).toBe('onHold');
  });
});

describe('of two lists', () => {
  test('the newer one is believed', () => {
    const older = { thisUpdate: NOW - 9000, listed: [{ certificate: leaf, reason: 6 }] };
    expect(statusOf(leaf, [older, { number: 2 }]).reason).toBe('ok');
    expect(statusOf(leaf, [{ thisUpdate: NOW - 9000 }, { number: 2, listed: older.listed }]).reason).toBe(
      'onHold',
    );
  });

  test('one that must not be used does not stand in the way', () => {
    expect(statusOf(leaf, [{ extra: [unknown(true)] }, { thisUpdate: NOW - 9000 }]).reason).toBe('ok');
  });
});

describe('the chain', () => {
  test('is looked at where it is asked for', () => {
    const crls = [{}, { issuer: root, listed: [{ certificate: ca, reason: 2 }] }];
    expect(statusOf(leaf, crls).reason).toBe('ok');
    expect(statusOf(leaf, crls, { status: 'chain' })).toMatchObject({
      reason: 'revoked',
      revocationReason: 'cACompromise',
    });
  });

  test('revoked is told before unknown', () => {
    const crls = [{ issuer: root, listed: [{ certificate: ca, reason: 2 }] }];
    expect(statusOf(leaf, crls, { status: 'chain' }).reason).toBe('revoked');
  });

  test('another way round a revoked CA is taken', () => {
    const key = sampleKey('P-256');
    const revoked = makeAuthority({ cn: 'twice', key, issuer: root });
    const good = makeAuthority({ cn: 'twice', key, issuer: root });
    const judged = makeCertificate({ issuer: good });
    const crls = [{ issuer: good }, { issuer: root, listed: [{ certificate: revoked, reason: 4 }] }];
    expect(statusOf(judged, crls, { status: 'chain' }, [revoked, good]).reason).toBe('ok');
    expect(statusOf(judged, crls, { status: 'chain' }, [revoked]).reason).toBe('revoked');
  });
});

describe('noRevAvail (RFC 9608)', () => {
  test('spares the leaf the question', () => {
    expect(statusOf(makeCertificate({ issuer: ca, extra: [noRevAvail] }), []).reason).toBe('ok');
  });

  test('not where the certificate names a list too', () => {
    const extra = [noRevAvail, extensions.crlDistributionPoints(URL)];
    expect(statusOf(makeCertificate({ issuer: ca, extra }), []).reason).toBe('statusUnknown');
  });
});
