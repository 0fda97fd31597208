import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type CsrRequirements, encodeCsrAttributes } from '../../src/x509/csr-attributes.ts';
import { type Der, encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { integer, nullValue, octetString, oid, utf8String } from '../../src/x509/der/values.ts';
import { keyUsage, subjectAltName } from '../../src/x509/extensions.ts';
import { type CsrAttributesFault, readCsrAttributes } from '../../src/x509/read-csr-attributes.ts';
import { codeOf } from './code-of.ts';
import { hex, tlv } from './tlv.ts';

const CHALLENGE = '1.2.840.113549.1.9.7';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const TEMPLATE = '1.2.840.113549.1.9.16.2.61';
const EXTENSION_TEMPLATE = '1.2.840.113549.1.9.16.2.62';
const EC = '1.2.840.10045.2.1';
const RSA = '1.2.840.113549.1.1.1';
const P384 = '1.3.132.0.34';
const san = subjectAltName([{ kind: 'dns', name: 'd.example' }]);
const usage = keyUsage(['digitalSignature']);

const base64 = (text: string) => Buffer.from(text, 'base64');
const attribute = (type: string, ...values: readonly Der[]) => sequence(oid(type), setOf(...values));
const faultsOf = (...elements: readonly Der[]) => readCsrAttributes(encode(sequence(...elements))).faults;

describe('what is written', () => {
  test('is an empty SEQUENCE where nothing is asked for', () => {
    expect(encodeCsrAttributes({})).toEqual(hex('30 00'));
  });

  // RFC 9908 §5: an RSA key of 4096 bits, and a CSR that is signed with SHA-256.
  test('is the example of RFC 9908 for an RSA key of a size, to the octet', () => {
    expect(
      encodeCsrAttributes({
        channelBinding: true,
        key: { kind: 'rsa', bits: 4096 },
        signature: 'rsa-sha256',
      }),
    ).toEqual(base64('MCkGCSqGSIb3DQEJBzARBgkqhkiG9w0BAQExBAICEAAGCSqGSIb3DQEBCw=='));
  });

  test('asks for extensions in one attribute with one value, however many there are', () => {
    const der = encodeCsrAttributes({ extensions: [san, usage] });
    expect(der).toEqual(encode(sequence(attribute(EXTENSION_REQUEST, sequence(san, usage)))));
    expect(readCsrAttributes(der)).toMatchObject({
      faults: [],
      extensions: [
        { oid: '2.5.29.17', critical: false },
        { oid: '2.5.29.15', critical: true },
      ],
    });
  });

  test('names an Ed25519 key by an attribute without values', () => {
    const read = readCsrAttributes(encodeCsrAttributes({ key: { kind: 'ed25519' } }));
    expect(read).toMatchObject({ faults: [], attributes: [{ oid: '1.3.101.112', values: [] }] });
  });

  const required: CsrRequirements = {
    key: { kind: 'ec', curve: 'P-256' },
    extensions: [usage],
    template: {
      subject: [{ type: 'CN' }, { type: 'OU', value: 'myDept' }],
      openExtensions: ['2.5.29.37'],
    },
  };

  test('says in a template what a list cannot: open names and open extensions', () => {
    const read = readCsrAttributes(encodeCsrAttributes(required));
    expect(read.faults).toEqual([]);
    expect(read.attributes.map((one) => one.oid)).toEqual([EC, EXTENSION_REQUEST, TEMPLATE]);
    expect(read.template).toEqual({
      subject: [[{ oid: '2.5.4.3' }], [{ oid: '2.5.4.11', value: encode(utf8String('myDept')) }]],
      key: { algorithm: encode(sequence(oid(EC), oid('1.2.840.10045.3.1.7'))) },
      extensions: [
        { oid: '2.5.29.15', critical: true, value: hex('03 02 07 80') },
        { oid: '2.5.29.37', critical: false },
      ],
      otherAttributes: [],
    });
  });

  test('has the template of RFC 9908 Appendix A to the octet: IMPLICIT tags, and attributes even where there are none', () => {
    const der = encodeCsrAttributes({ key: { kind: 'ec', curve: 'P-384' }, template: {} });
    const algorithm = encode(sequence(oid(EC), oid(P384)));
    const template = tlv(0x30, hex('02 01 00'), tlv(0xa0, algorithm), tlv(0xa1));
    expect(der).toEqual(encode(sequence(attribute(EC, oid(P384)), attribute(TEMPLATE, template))));
  });

  test.each([2047, 2048, 3072])('gives an RSA key of %i bits as a placeholder of that length', (bits) => {
    const { template } = readCsrAttributes(encodeCsrAttributes({ key: { kind: 'rsa', bits }, template: {} }));
    expect(template?.key?.rsaBits).toBe(bits);
  });

  test('has no template where channel binding is asked for, which its readers would not see', () => {
    const read = readCsrAttributes(encodeCsrAttributes({ ...required, channelBinding: true }));
    expect(read.oids).toEqual([CHALLENGE]);
    expect(read.template).toBeUndefined();
  });

  test('is what OpenSSL prints', () => {
    const { status, stdout } = spawnSync('openssl', ['asn1parse', '-inform', 'DER'], {
      input: encodeCsrAttributes({ ...required, signature: 'ecdsa-sha256' }),
    });
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(
      /Extension Request[\s\S]*ecdsa-with-SHA256[\s\S]*X509v3 Extended Key Usage/,
    );
  });
});

describe('what is read', () => {
  test.each([
    // RFC 9908 §5.
    [
      'MGcGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMDwGCSqGSIb3DQEJDjEvMC0wKwYDVR0RBCQwIqAgBggrBgEFBQcICqAUFhJwb3RhdG9AZXhhbXBsZS5jb20GCCqGSM49BAMD',
      ['2.5.29.17'],
    ],
    [
      'ME4GCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMCMGCSqGSIb3DQEJDjEWMBQwEgYDVR0JBAswCQYHKwYBAQEBFgYIKoZIzj0EAwM=',
      ['2.5.29.9'],
    ],
  ])('has no fault where an example of RFC 9908 is right: %s', (text, types) => {
    const { faults, extensions } = readCsrAttributes(base64(text));
    expect(faults).toEqual([]);
    expect(extensions.map((one) => one.oid)).toEqual(types);
  });

  test("names the mistake of RFC 7030's own example: an attribute's type where Extensions belong", () => {
    const read = readCsrAttributes(
      base64('MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw=='),
    );
    expect(read.faults).toEqual(['extension-request-wrong']);
    expect(read.extensions).toEqual([]);
    expect(read.oids).toEqual([CHALLENGE, '1.2.840.10045.4.3.3']);
  });

  const request = (...extensions: readonly Der[]) => attribute(EXTENSION_REQUEST, sequence(...extensions));
  test.each<[CsrAttributesFault, readonly Der[], readonly Der[]]>([
    ['element-unknown', [nullValue()], [oid(CHALLENGE)]],
    ['element-unknown', [sequence(oid(CHALLENGE))], [attribute(CHALLENGE, utf8String('a'))]],
    ['attribute-empty', [attribute('1.2.3.4')], [attribute(EC)]],
    [
      'values-not-a-set',
      [attribute('1.2.3.4', integer(1), integer(1))],
      [attribute('1.2.3.4', integer(1), integer(2))],
    ],
    [
      'values-not-a-set',
      [encode(sequence(oid('1.2.3.4'), tlv(0x31, hex('02 01 02 02 01 01'))))],
      [encode(sequence(oid('1.2.3.4'), tlv(0x31, hex('02 01 01 02 01 02'))))],
    ],
    ['extension-request-repeated', [request(san), request(usage)], [request(san, usage)]],
    [
      'extension-request-wrong',
      [attribute(EXTENSION_REQUEST, sequence(san), sequence(usage))],
      [request(san, usage)],
    ],
    ['extension-request-wrong', [request(san, san)], [request(san)]],
    ['extension-request-wrong', [request()], [request(san)]],
    ['extension-request-wrong', [request(sequence(oid('2.5.29.17')))], [request(san)]],
    ['key-type-repeated', [attribute(EC), attribute(RSA)], [attribute(EC)]],
    ['key-type-wrong', [attribute(EC, integer(384))], [attribute(EC, oid(P384))]],
    ['key-type-wrong', [attribute(RSA, oid(P384))], [attribute(RSA, integer(2048))]],
    ['key-type-wrong', [attribute(RSA, integer(0))], [attribute(RSA, integer(2048))]],
    ['curve-without-key-type', [oid(P384)], [attribute(EC, oid(P384))]],
  ])('has fault %s, and its twin has none', (fault, wrong, right) => {
    expect(faultsOf(...wrong)).toEqual([fault]);
    expect(faultsOf(...right)).toEqual([]);
  });

  test.each([
    ['nothing', hex('')],
    ['what is cut off', hex('30')],
    ['what is no SEQUENCE', hex('31 00')],
    ['what is followed by more', hex('30 00 00')],
    ['what is BER', hex('30 80 00 00')],
    ['what is larger than any', encode(sequence(octetString(Buffer.alloc(64 * 1024))))],
  ])('%s is refused', (_what, der) => {
    expect(codeOf(() => readCsrAttributes(der))).toBe('bad-der');
  });
});

describe('a template', () => {
  const key = tlv(0xa0, encode(sequence(oid(EC), oid(P384))));
  const attributes = (...all: readonly Der[]) => tlv(0xa1, ...all.map(encode));
  const template = (...fields: readonly Uint8Array[]) => tlv(0x30, hex('02 01 00'), ...fields);
  const open = attribute(EXTENSION_TEMPLATE, sequence(sequence(oid('2.5.29.17'))));
  const closed = attribute(EXTENSION_REQUEST, sequence(san));
  const rsa = encode(sequence(oid(RSA), nullValue()));
  const placeholder = tlv(0x03, hex('00'), encode(sequence(integer(255), integer(3))));

  test.each([
    ['version 1', tlv(0x30, hex('02 01 01'), key, attributes(open)), template(key, attributes(open))],
    ['no attributes field', template(key), template(key, attributes())],
    ['both requests for extensions', template(attributes(closed, open)), template(attributes(closed))],
    [
      'a request without values',
      template(attributes(attribute(EXTENSION_TEMPLATE))),
      template(attributes(open)),
    ],
    [
      'an extension without value in a plain request',
      template(attributes(attribute(EXTENSION_REQUEST, sequence(sequence(oid('2.5.29.17')))))),
      template(attributes(open)),
    ],
    [
      'critical FALSE',
      template(
        attributes(attribute(EXTENSION_TEMPLATE, sequence(sequence(oid('2.5.29.17'), hex('01 01 00'))))),
      ),
      template(
        attributes(attribute(EXTENSION_TEMPLATE, sequence(sequence(oid('2.5.29.17'), hex('01 01 ff'))))),
      ),
    ],
    [
      'a public key that is not RSA',
      template(tlv(0xa0, encode(sequence(oid(EC), oid(P384))), placeholder), attributes()),
      template(tlv(0xa0, rsa, placeholder), attributes()),
    ],
    [
      'an empty RDN',
      template(hex('30 02 31 00'), attributes()),
      template(hex('30 09 31 07 30 05 06 03 55 04 03'), attributes()),
    ],
    ['more at its end', template(attributes(), hex('05 00')), template(attributes())],
  ])('with %s is wrong, and its twin is read', (_what, wrong, right) => {
    const read = (der: Uint8Array) => readCsrAttributes(encode(sequence(attribute(TEMPLATE, der))));
    expect(read(wrong)).toMatchObject({ faults: ['template-wrong'] });
    expect(read(wrong).template).toBeUndefined();
    expect(read(right).faults).toEqual([]);
    expect(read(right).template).toBeDefined();
  });

  test('that is there twice is not used', () => {
    const one = attribute(TEMPLATE, template(attributes()));
    expect(readCsrAttributes(encode(sequence(one, one)))).toMatchObject({ faults: ['template-repeated'] });
  });
});
