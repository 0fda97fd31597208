import { primitive, sequence } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { integer, nullValue, octetString, oid } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { keyIdentifier } from '../../../../src/x509/public-key.ts';
import {
  CA_SPKI,
  certify,
  DEVICE_SPKI,
  ED25519_SPKI,
  extend,
  rsaSpki,
  spkiFrom,
} from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const EC = '1.2.840.10045.2.1';
const P256 = oid('1.2.840.10045.3.1.7');
const point = DEVICE_SPKI.subarray(-65);

export const keyTwins: readonly Twin[] = [
  {
    rule: 'key.malformed',
    kind: 'idevid',
    refuses: () => ({
      spki: sequence(
        sequence(oid(EC), P256),
        primitive(TAG.bitString, Buffer.concat([Uint8Array.of(4), point.subarray(0, 64), Uint8Array.of(0)])),
      ),
    }),
  },
  {
    rule: 'key.malformed',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048) }),
    refuses: () => ({
      spki: spkiFrom('1.2.840.113549.1.1.1', [nullValue()], new Uint8Array([0x30, 0x03, 0x02, 0x01, 0x05])),
    }),
  },
  {
    rule: 'key.algorithm-unknown',
    kind: 'idevid',
    refuses: () => ({ spki: spkiFrom('1.2.840.10040.4.1', [], point) }),
  },
  {
    rule: 'key.parameters',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048) }),
    refuses: () => ({ spki: rsaSpki(2048, 65537, []) }),
  },
  {
    rule: 'key.parameters',
    kind: 'server',
    accepts: () => ({ spki: ED25519_SPKI }),
    refuses: () => ({ spki: spkiFrom('1.3.101.112', [nullValue()], new Uint8Array(32).fill(9)) }),
  },
  {
    rule: 'key.length',
    kind: 'server',
    accepts: () => ({ spki: ED25519_SPKI }),
    refuses: () => ({ spki: spkiFrom('1.3.101.112', [], new Uint8Array(31).fill(9)) }),
  },
  {
    rule: 'key.length',
    kind: 'server',
    accepts: () => ({ spki: spkiFrom('2.16.840.1.101.3.4.3.18', [], new Uint8Array(1952)) }),
    refuses: () => ({ spki: spkiFrom('2.16.840.1.101.3.4.3.18', [], new Uint8Array(1312)) }),
  },
  {
    rule: 'key.ec.curve',
    kind: 'server',
    refuses: () => ({ spki: spkiFrom(EC, [oid('1.3.132.0.10')], point) }),
  },
  // Explicit parameters: the curve's numbers in place of its name.
  {
    rule: 'key.ec.curve',
    kind: 'server',
    refuses: () => ({ spki: spkiFrom(EC, [sequence(integer(1), octetString(point))], point) }),
  },
  {
    rule: 'key.ec.point',
    kind: 'idevid',
    refuses: () => ({ spki: spkiFrom(EC, [P256], Buffer.concat([Uint8Array.of(2), point.subarray(1, 33)])) }),
  },
  {
    rule: 'key.ec.point',
    kind: 'idevid',
    refuses: () => ({ spki: spkiFrom(EC, [P256], point.subarray(0, 64)) }),
  },
  {
    rule: 'key.rsa.too-small',
    kind: 'server',
    accepts: () => ({ spki: rsaSpki(2048) }),
    refuses: () => ({ spki: rsaSpki(2040) }),
  },
  {
    rule: 'key.rsa.exponent',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048, 65537) }),
    refuses: () => ({ spki: rsaSpki(2048, 65538) }),
  },
  { rule: 'key.rsa.exponent', kind: 'idevid', refuses: () => ({ spki: rsaSpki(2048, 1) }) },
  {
    rule: 'key.rsa.exponent-small',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048, 65537) }),
    refuses: () => ({ spki: rsaSpki(2048, 3) }),
  },
  {
    rule: 'key.invalid',
    kind: 'idevid',
    refuses: () => ({
      spki: spkiFrom(EC, [P256], Buffer.concat([Uint8Array.of(4), new Uint8Array(64).fill(1)])),
    }),
    signs: certify,
  },
  {
    rule: 'device.key.suite',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048) }),
    refuses: () => ({ spki: rsaSpki(4096) }),
  },
  { rule: 'device.key.suite', kind: 'idevid', refuses: () => ({ spki: ED25519_SPKI }) },
  {
    rule: 'key.same-as-issuer',
    kind: 'ldevid',
    refuses: (parts) => ({
      spki: CA_SPKI,
      ...extend({ subjectKeyIdentifier: x509.subjectKeyIdentifier(keyIdentifier(CA_SPKI)) })(parts),
    }),
  },
];
