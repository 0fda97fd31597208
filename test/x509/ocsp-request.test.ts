import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import { constructed, type Der, encode, explicit, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { integer, nullValue, octetString, oid } from '../../src/x509/der/values.ts';
import { extension } from '../../src/x509/extensions.ts';
import {
  encodeOcspRequest,
  MAX_CERT_IDS,
  OCSP_EXTENSION,
  readOcspRequest,
} from '../../src/x509/ocsp-request.ts';

const SHA1 = sequence(oid('1.3.14.3.2.26'), nullValue());
const hash = (octet: number) => octetString(Buffer.alloc(20, octet));
const certId = (serial = 7, algorithm: Der = SHA1) => sequence(algorithm, hash(1), hash(2), integer(serial));
const request = (requests: readonly Der[], ...more: readonly Der[]) =>
  encode(sequence(sequence(constructed(TAG.sequence, requests), ...more)));
const withExtensions = (...extensions: readonly Der[]) =>
  request([sequence(certId())], explicit(2, sequence(...extensions)));
const nonce = (size: number) => extension(OCSP_EXTENSION.nonce, false, octetString(Buffer.alloc(size, 9)));
const UNKNOWN = '1.2.3.4';

function outcome(der: Uint8Array): string {
  try {
    readOcspRequest(der);
    return 'read';
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
}

test('reads what OpenSSL 3.0 sends', () => {
  // openssl ocsp -issuer ca.pem -serial 0x1234 -reqout: SHA-1 with NULL, a nonce of 16 octets.
  const der = Buffer.from(
    '30683066303f303d303b300906052b0e03021a05000414f3e698d6e60a25021597c6008dcf9d6ad89bc4140414' +
      '7d49137fb663de09c26f1fdebb08958576c8883702021234a2233021301f06092b060105050730010204120410' +
      'f7cb175798a57c60125ac9ec7c09897d',
    'hex',
  );
  const { certIds, nonce: asked } = readOcspRequest(der);
  expect(certIds.map(({ serial }) => Buffer.from(serial).toString('hex'))).toEqual(['1234']);
  expect(Buffer.from(asked ?? []).toString('hex')).toBe('f7cb175798a57c60125ac9ec7c09897d');
});

test('keeps the octets of each CertID, with NULL or without', () => {
  const bare = sequence(oid('2.16.840.1.101.3.4.2.1'));
  const asked = [certId(5), certId(6, bare)].map((one) => encode(one));
  const { certIds } = readOcspRequest(request(asked.map((one) => sequence(one))));
  expect(certIds.map(({ raw }) => Buffer.from(raw))).toEqual(asked);
  expect(certIds.map(({ issuer }) => Buffer.from(issuer).toString('hex'))).toEqual(
    [SHA1, bare].map((algorithm) => Buffer.concat([algorithm, hash(1), hash(2)].map(encode)).toString('hex')),
  );
});

test('reads what it writes', () => {
  const der = encodeOcspRequest(encode(certId()), Buffer.alloc(32, 3));
  expect(readOcspRequest(der).nonce).toEqual(Buffer.alloc(32, 3));
  expect(readOcspRequest(encodeOcspRequest(encode(certId()), undefined)).nonce).toBeUndefined();
});

describe('the nonce of RFC 9654', () => {
  test.each([1, 15, 16, 32, 33, 128])('of %i octets is read', (size) => {
    expect(readOcspRequest(withExtensions(nonce(size))).nonce).toHaveLength(size);
  });

  test.each([0, 129, 1000])('of %i octets is refused', (size) => {
    expect(outcome(withExtensions(nonce(size)))).toBe('bad-der');
  });

  test('without its own OCTET STRING is refused, and so are two', () => {
    const bare = sequence(oid(OCSP_EXTENSION.nonce), octetString(Buffer.alloc(16, 0x55)));
    expect([outcome(withExtensions(bare)), outcome(withExtensions(nonce(16), nonce(16)))]).toEqual([
      'bad-der',
      'bad-der',
    ]);
  });
});

describe('an extension that is not known', () => {
  const of = (critical: boolean) => extension(UNKNOWN, critical, nullValue());
  const inRequest = (critical: boolean) => request([sequence(certId(), explicit(0, sequence(of(critical))))]);

  test('is passed over, and refused where it is critical', () => {
    expect([outcome(withExtensions(of(false))), outcome(withExtensions(of(true)))]).toEqual([
      'read',
      'bad-der',
    ]);
    expect([outcome(inRequest(false)), outcome(inRequest(true))]).toEqual(['read', 'bad-der']);
  });
});

test('a name and a signature of who asks change nothing', () => {
  const name = explicit(1, explicit(4, sequence()));
  const list = sequence(sequence(certId()));
  const signature = sequence(SHA1, Buffer.from('03020055', 'hex'));
  const signed = encode(sequence(sequence(name, list), explicit(0, signature)));
  expect(readOcspRequest(signed).certIds).toHaveLength(1);
});

test('takes twenty certificates and not one more, and not none', () => {
  const many = (count: number) => request(Array.from({ length: count }, (_, at) => sequence(certId(at))));
  expect([MAX_CERT_IDS, MAX_CERT_IDS + 1, 0].map((count) => outcome(many(count)))).toEqual([
    'read',
    'bad-der',
    'bad-der',
  ]);
});

test('every changed, cut or added octet is read as another request or refused, and nothing else', () => {
  const good = withExtensions(nonce(32), extension(UNKNOWN, false, nullValue()));
  const outcomes = new Map<string, number>();
  const count = (der: Uint8Array) => {
    const name = outcome(der);
    outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
  };
  for (let at = 0; at < good.length; at += 1) {
    for (const octet of [0, 1, 0x30, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(good);
      changed[at] = octet;
      count(changed);
      count(Buffer.concat([good.subarray(0, at), Buffer.of(octet), good.subarray(at)]));
    }
    expect(outcome(good.subarray(0, at))).toBe('bad-der');
    expect(outcome(Buffer.concat([good, Buffer.of(0)]))).toBe('bad-der');
  }
  expect([...outcomes.keys()].sort()).toEqual(['bad-der', 'read']);
  expect(outcomes.get('bad-der')).toBeGreaterThan(outcomes.get('read') ?? 0);
});
