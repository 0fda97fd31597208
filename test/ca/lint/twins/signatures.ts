import { SIGNATURE_ALGORITHMS } from '../../../../src/x509/algorithms.ts';
import { type Der, encode, primitive, sequence } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { integer, nullValue, oid, utf8String } from '../../../../src/x509/der/values.ts';
import { certify, encodeTbs, issuerOf, rsaSpki, withSignature } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const algorithm = (name: keyof typeof SIGNATURE_ALGORITHMS) => () => ({
  algorithm: SIGNATURE_ALGORITHMS[name].der,
});
const rsaIssuer = () => issuerOf('idevid', () => ({ spki: rsaSpki(2048) }));
const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'), nullValue());
const MGF1 = sequence(oid('1.2.840.113549.1.1.8'), SHA256);
const inTag = (number: number, part: Der) => ({
  ...sequence(part),
  tag: TAG.contextConstructed | number,
});
const pss = (salt: number) => () => ({
  algorithm: sequence(
    oid('1.2.840.113549.1.1.10'),
    sequence(inTag(0, SHA256), inTag(1, MGF1), inTag(2, integer(salt))),
  ),
});

export const signatureTwins: readonly Twin[] = [
  {
    rule: 'algorithm.malformed',
    kind: 'idevid',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.10045.4.3.2'), nullValue(), nullValue()) }),
    also: ['algorithm.parameters'],
  },
  {
    rule: 'algorithm.unknown',
    kind: 'idevid',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.10040.4.3')) }),
  },
  {
    rule: 'algorithm.weak',
    kind: 'idevid',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.10045.4.1')) }),
    also: ['algorithm.pairing', 'device.algorithm.suite'],
  },
  {
    rule: 'algorithm.weak',
    kind: 'server',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.113549.1.1.5'), nullValue()) }),
    refusedIssuer: rsaIssuer,
  },
  {
    rule: 'algorithm.parameters',
    kind: 'idevid',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.10045.4.3.2'), nullValue()) }),
  },
  {
    rule: 'algorithm.parameters',
    kind: 'server',
    refuses: () => ({ algorithm: sequence(oid('1.2.840.113549.1.1.11')) }),
    refusedIssuer: rsaIssuer,
  },
  { rule: 'algorithm.parameters', kind: 'server', refuses: pss(20), refusedIssuer: rsaIssuer },
  {
    rule: 'algorithm.issuer-key',
    kind: 'idevid',
    accepts: algorithm('ecdsa-sha256'),
    refuses: algorithm('rsa-sha256'),
  },
  { rule: 'algorithm.issuer-key', kind: 'server', refuses: pss(32) },
  {
    rule: 'algorithm.pairing',
    kind: 'idevid',
    accepts: algorithm('ecdsa-sha256'),
    refuses: algorithm('ecdsa-sha384'),
  },
  {
    rule: 'device.algorithm.suite',
    kind: 'idevid',
    refuses: algorithm('ecdsa-sha512'),
    also: ['algorithm.pairing'],
  },
  {
    rule: 'algorithm.inner-outer',
    kind: 'idevid',
    refuses: () => ({}),
    signs: (parts) => certify(parts, 'ca', SIGNATURE_ALGORITHMS['ecdsa-sha384'].der),
    also: ['signature.invalid'],
  },
  {
    rule: 'signature.octets',
    kind: 'idevid',
    refuses: () => ({}),
    signs: (parts) => withSignature(parts, new Uint8Array(0)),
    also: ['signature.ecdsa-form', 'signature.invalid'],
  },
  {
    rule: 'signature.octets',
    kind: 'idevid',
    refuses: () => ({}),
    // Four unused bits of what was a whole octet; they are zero, so DER is content.
    signs: (parts) => {
      const signature = encode(sequence(integer(1), integer(16)));
      return encode(
        sequence(
          encodeTbs(parts),
          parts.algorithm,
          primitive(TAG.bitString, Buffer.concat([Uint8Array.of(4), signature])),
        ),
      );
    },
    also: ['signature.invalid'],
  },
  ...[
    encode(sequence(integer(0), integer(1))),
    encode(sequence(integer(1), primitive(TAG.integer, Uint8Array.of(0x80)))),
    encode(sequence(integer(1), utf8String('x'))),
    Buffer.concat([encode(sequence(integer(1), integer(1))), Uint8Array.of(0)]),
    encode(sequence(integer(1), primitive(TAG.integer, Uint8Array.of(0, 1)))),
  ].map(
    (signature): Twin => ({
      rule: 'signature.ecdsa-form',
      kind: 'idevid',
      refuses: () => ({}),
      signs: (parts) => withSignature(parts, signature),
      also: ['signature.invalid'],
    }),
  ),
  {
    rule: 'signature.invalid',
    kind: 'idevid',
    refuses: () => ({}),
    signs: (parts) => certify(parts, 'root'),
  },
  {
    rule: 'signature.unchecked',
    kind: 'server',
    refuses: pss(32),
    refusedIssuer: rsaIssuer,
    signs: (parts) => withSignature(parts, new Uint8Array(256).fill(1)),
  },
];
