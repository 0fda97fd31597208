import {
  constructed,
  type Der,
  encode,
  explicit,
  primitive,
  sequence,
} from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import {
  bitString,
  integer,
  octetString,
  oid,
  unsigned,
  utf8String,
} from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { encodeTbs, extend, rsaSpki, unchanged } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const raw = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const keyId = new Uint8Array(20).fill(1);

/** A subject of O and the given values. */
const subjectWith = (...sets: readonly Der[]): Der => sequence(...sets);
const set = (...parts: readonly Der[]): Der => constructed(TAG.set, parts);
const attribute = (type: string, value: Der): Der => sequence(oid(type), value);
const serialNumber = set(attribute('2.5.4.5', primitive(TAG.printableString, Buffer.from('SN-0001'))));
const organization = set(attribute('2.5.4.10', utf8String('Lab')));

/** Sequences in one another, as the value of an otherName that nobody knows. */
function nestedName(depth: number): Der {
  let value: Der = sequence();
  for (let i = 0; i < depth; i += 1) value = sequence(value);
  return { ...sequence(oid('1.3.6.1.4.1.99999.7'), explicit(0, value)), tag: TAG.contextConstructed };
}
const ldevidWithNames = (...names: readonly Der[]) =>
  extend({ subjectAltName: x509.extension('2.5.29.17', false, sequence(...names)) });

export const derTwins: readonly Twin[] = [
  {
    rule: 'certificate.structure',
    kind: 'idevid',
    refuses: unchanged,
    encodes: (parts) => encode(sequence(parts.serial, parts.algorithm, parts.issuer)),
  },
  {
    rule: 'der.length',
    kind: 'idevid',
    accepts: () => ({ serial: raw('02 08 5a5a5a5a5a5a5a5a') }),
    refuses: () => ({ serial: raw('02 81 08 5a5a5a5a5a5a5a5a') }),
  },
  {
    rule: 'der.length',
    kind: 'idevid',
    refuses: unchanged,
    // What BER calls an indefinite length.
    encodes: (parts) => Buffer.concat([raw('30 80'), encodeTbs(parts).subarray(4), raw('00 00')]),
    also: ['certificate.structure'],
  },
  {
    rule: 'der.tag',
    kind: 'idevid',
    accepts: () => ({ subject: subjectWith(organization, serialNumber) }),
    refuses: () => ({ subject: subjectWith(set(attribute('2.5.4.10', raw('1f 03 4c6162'))), serialNumber) }),
    also: ['subject.malformed'],
  },
  {
    rule: 'der.trailing',
    kind: 'idevid',
    refuses: unchanged,
    encodes: (parts) => Buffer.concat([encodeTbs(parts), raw('00')]),
  },
  {
    rule: 'der.trailing',
    kind: 'idevid',
    refuses: extend({
      keyUsage: sequence(oid('2.5.29.15'), raw('01 01 ff'), octetString(raw('03 02 07 80 05 00'))),
    }),
  },
  {
    rule: 'der.nesting',
    kind: 'ldevid',
    accepts: ldevidWithNames(nestedName(20)),
    refuses: ldevidWithNames(nestedName(40)),
  },
  {
    rule: 'der.form',
    kind: 'idevid',
    accepts: () => ({ subject: subjectWith(organization, serialNumber) }),
    refuses: () => ({
      subject: subjectWith(set(attribute('2.5.4.10', raw('2c 05 0c 03 4c6162'))), serialNumber),
    }),
    also: ['name.string-type.legacy'],
  },
  {
    rule: 'der.default',
    kind: 'ldevid',
    refuses: extend({
      subjectKeyIdentifier: sequence(
        oid('2.5.29.14'),
        raw('01 01 00'),
        octetString(encode(octetString(keyId))),
      ),
    }),
  },
  {
    rule: 'der.default',
    kind: 'idevid',
    accepts: extend({ basicConstraints: x509.extension('2.5.29.19', true, sequence()) }),
    refuses: extend({ basicConstraints: x509.extension('2.5.29.19', true, sequence(raw('01 01 00'))) }),
    aside: ['device.basic-constraints.present'],
    also: ['device.basic-constraints.present'],
  },
  {
    rule: 'der.default',
    kind: 'idevid',
    refuses: () => ({ version: explicit(0, integer(0)) }),
    also: ['version.not-v3'],
  },
  {
    rule: 'der.boolean',
    kind: 'idevid',
    refuses: extend({
      keyUsage: sequence(oid('2.5.29.15'), raw('01 01 01'), octetString(raw('03 02 07 80'))),
    }),
  },
  {
    rule: 'der.integer',
    kind: 'idevid',
    accepts: () => ({ serial: raw('02 09 00 8f5a5a5a5a5a5a5a') }),
    refuses: () => ({ serial: raw('02 09 00 7f5a5a5a5a5a5a5a') }),
  },
  {
    rule: 'der.bit-string',
    kind: 'idevid',
    refuses: extend({ keyUsage: x509.extension('2.5.29.15', true, raw('03 02 07 81')) }),
  },
  {
    rule: 'der.null',
    kind: 'idevid',
    accepts: () => ({ spki: rsaSpki(2048) }),
    refuses: () => ({ spki: rsaSpki(2048, 65537, [raw('05 01 00')]) }),
  },
  {
    rule: 'der.oid',
    kind: 'ldevid',
    accepts: extend({ extendedKeyUsage: x509.extendedKeyUsage(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.3']) }),
    refuses: extend({
      extendedKeyUsage: x509.extension(
        '2.5.29.37',
        false,
        sequence(oid('1.3.6.1.5.5.7.3.2'), raw('06 03 2b 80 06')),
      ),
    }),
  },
  {
    rule: 'der.string',
    kind: 'idevid',
    accepts: () => ({ subject: subjectWith(organization, serialNumber) }),
    refuses: () => ({
      subject: subjectWith(
        organization,
        set(attribute('2.5.4.5', primitive(TAG.printableString, Buffer.from('SN_0001')))),
      ),
    }),
  },
  {
    rule: 'der.string',
    kind: 'idevid',
    accepts: () => ({ subject: subjectWith(set(attribute('2.5.4.10', utf8String('Läb'))), serialNumber) }),
    refuses: () => ({
      subject: subjectWith(set(attribute('2.5.4.10', raw('0c 03 4c e4 62'))), serialNumber),
    }),
  },
  {
    rule: 'der.set-order',
    kind: 'idevid',
    accepts: () => ({
      subject: subjectWith(
        set(attribute('2.5.4.10', utf8String('Lab')), attribute('2.5.4.11', utf8String('Lab'))),
        serialNumber,
      ),
    }),
    refuses: () => ({
      subject: subjectWith(
        set(attribute('2.5.4.11', utf8String('Lab')), attribute('2.5.4.10', utf8String('Lab'))),
        serialNumber,
      ),
    }),
    aside: ['name.multi-valued'],
    also: ['name.multi-valued'],
  },
  { rule: 'version.not-v3', kind: 'idevid', refuses: () => ({ version: explicit(0, integer(1)) }) },
  { rule: 'version.not-v3', kind: 'idevid', refuses: () => ({ version: undefined }) },
  { rule: 'version.not-v3', kind: 'idevid', refuses: () => ({ version: explicit(0, integer(3)) }) },
  {
    rule: 'unique-ids.present',
    kind: 'idevid',
    refuses: () => ({ uniqueIds: [{ ...bitString(Uint8Array.of(1)), tag: 0x81 }] }),
  },
  {
    rule: 'unique-ids.present',
    kind: 'idevid',
    refuses: () => ({ uniqueIds: [{ ...bitString(Uint8Array.of(1)), tag: 0x82 }] }),
  },
  {
    rule: 'serial.not-positive',
    kind: 'idevid',
    refuses: () => ({ serial: integer(0) }),
    also: ['serial.too-short'],
  },
  {
    rule: 'serial.not-positive',
    kind: 'idevid',
    accepts: () => ({ serial: raw('02 09 00 ff5a5a5a5a5a5a5a') }),
    refuses: () => ({ serial: raw('02 08 ff5a5a5a5a5a5a5a') }),
  },
  {
    rule: 'serial.too-long',
    kind: 'idevid',
    accepts: () => ({ serial: unsigned(new Uint8Array(20).fill(0x7f)) }),
    // Twenty octets that become twenty-one.
    refuses: () => ({ serial: unsigned(new Uint8Array(20).fill(0x8f)) }),
  },
  {
    rule: 'serial.too-short',
    kind: 'idevid',
    accepts: () => ({ serial: unsigned(new Uint8Array(8).fill(0x8f)) }),
    refuses: () => ({ serial: unsigned(new Uint8Array(7).fill(0x8f)) }),
  },
  {
    rule: 'extensions.malformed',
    kind: 'idevid',
    refuses: extend({ odd: sequence(oid('1.3.6.1.4.1.99999.5'), utf8String('not an OCTET STRING')) }),
  },
  {
    rule: 'extensions.duplicate',
    kind: 'idevid',
    refuses: extend({ again: x509.keyUsage(['digitalSignature']) }),
  },
  {
    rule: 'extensions.unknown-critical',
    kind: 'idevid',
    accepts: extend({ odd: x509.extension('1.3.6.1.4.1.99999.5', false, utf8String('x')) }),
    refuses: extend({ odd: x509.extension('1.3.6.1.4.1.99999.5', true, utf8String('x')) }),
  },
  {
    rule: 'extensions.ca-only',
    kind: 'idevid',
    refuses: extend({ odd: x509.extension('2.5.29.54', true, integer(0)) }),
  },
  { rule: 'extensions.crl-only', kind: 'idevid', refuses: extend({ odd: x509.crlNumber(7) }) },
  {
    rule: 'extensions.must-not-be-critical',
    kind: 'idevid',
    accepts: extend({
      masaUrl: x509.extension(
        '1.3.6.1.5.5.7.1.32',
        false,
        primitive(TAG.ia5String, Buffer.from('masa.example')),
      ),
    }),
    refuses: extend({
      masaUrl: x509.extension(
        '1.3.6.1.5.5.7.1.32',
        true,
        primitive(TAG.ia5String, Buffer.from('masa.example')),
      ),
    }),
  },
  {
    rule: 'ca.extensions.not-critical',
    kind: 'ca',
    accepts: extend({ inhibit: x509.extension('2.5.29.54', true, integer(0)) }),
    refuses: extend({ inhibit: x509.extension('2.5.29.54', false, integer(0)) }),
  },
  {
    rule: 'extensions.netscape',
    kind: 'idevid',
    refuses: extend({
      comment: x509.extension(
        '2.16.840.1.113730.1.13',
        false,
        primitive(TAG.ia5String, Buffer.from('OpenSSL Generated Certificate')),
      ),
    }),
  },
];
