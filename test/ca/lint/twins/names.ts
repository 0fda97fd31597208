import { constructed, type Der, primitive, sequence, setOf } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { oid, printableString, utf8String } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { both, CA_NAME, type Change, extend, issuerOf } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const rdn = (type: string, value: Der): Der => setOf(sequence(oid(type), value));
const O = rdn('2.5.4.10', utf8String('Lab'));
const SERIAL = rdn('2.5.4.5', printableString('SN-0001'));
const subject =
  (...rdns: readonly Der[]): Change =>
  () => ({ subject: sequence(...rdns) });
const text = (tag: number, value: string): Der => primitive(tag, Buffer.from(value, 'latin1'));
const commonName = (value: string) => subject(O, rdn('2.5.4.3', utf8String(value)), SERIAL);

/** The issuer's name and the authority's certificate change together. */
const issuerNamed = (name: Der, rule: string, also: readonly string[] = []): Twin => ({
  rule,
  kind: 'ldevid',
  refuses: () => ({ issuer: name }),
  refusedIssuer: () => issuerOf('ldevid', () => ({ subject: name })),
  also,
});

export const nameTwins: readonly Twin[] = [
  issuerNamed(sequence(constructed(TAG.set, [])), 'issuer.malformed'),
  issuerNamed(sequence(), 'issuer.empty'),
  issuerNamed(sequence(O, rdn('2.5.4.11', text(TAG.teletexString, 'Unit'))), 'name.string-type.legacy'),
  {
    rule: 'issuer.mismatch',
    kind: 'idevid',
    // The same text in another string type.
    accepts: () => ({ issuer: CA_NAME }),
    refuses: () => ({
      issuer: sequence(rdn('2.5.4.10', printableString('Lab')), rdn('2.5.4.3', utf8String('Lab Issuing CA'))),
    }),
  },
  { rule: 'subject.malformed', kind: 'idevid', refuses: subject(O, SERIAL, constructed(TAG.set, [])) },
  {
    rule: 'subject.malformed',
    kind: 'idevid',
    refuses: subject(O, SERIAL, setOf(sequence(oid('2.5.4.11'), utf8String('a'), utf8String('b')))),
  },
  {
    rule: 'subject.empty',
    kind: 'idevid',
    refuses: subject(),
    also: ['idevid.subject.serial-number.missing', 'subject-alt-name.not-critical'],
  },
  {
    rule: 'subject.nowhere',
    kind: 'operator',
    accepts: both(
      subject(),
      extend({ san: x509.extension('2.5.29.17', true, sequence(text(TAG.context | 1, 'a@example.com'))) }),
    ),
    refuses: subject(),
  },
  { rule: 'idevid.subject.serial-number.missing', kind: 'idevid', refuses: subject(O) },
  { rule: 'ldevid.subject.serial-number.missing', kind: 'ldevid', refuses: subject(O) },
  {
    rule: 'subject.serial-number.duplicate',
    kind: 'idevid',
    refuses: subject(O, SERIAL, rdn('2.5.4.5', printableString('SN-0002'))),
  },
  {
    rule: 'name.string-type.printable',
    kind: 'idevid',
    accepts: subject(O, SERIAL),
    refuses: subject(O, rdn('2.5.4.5', utf8String('SN-0001'))),
  },
  {
    rule: 'name.string-type.ia5',
    kind: 'idevid',
    accepts: subject(rdn('0.9.2342.19200300.100.1.25', text(TAG.ia5String, 'example')), SERIAL),
    refuses: subject(rdn('0.9.2342.19200300.100.1.25', utf8String('example')), SERIAL),
  },
  {
    rule: 'name.string-type.legacy',
    kind: 'idevid',
    accepts: subject(rdn('2.5.4.10', printableString('Lab')), SERIAL),
    refuses: subject(rdn('2.5.4.10', text(TAG.bmpString, '\0L\0a\0b')), SERIAL),
  },
  {
    rule: 'name.attribute.empty',
    kind: 'idevid',
    accepts: subject(O, SERIAL, rdn('2.5.4.11', utf8String('U'))),
    refuses: subject(O, SERIAL, rdn('2.5.4.11', utf8String(''))),
  },
  {
    rule: 'name.attribute.too-long',
    kind: 'idevid',
    // 64 characters of two octets each.
    accepts: subject(rdn('2.5.4.10', utf8String('ä'.repeat(64))), SERIAL),
    refuses: subject(rdn('2.5.4.10', utf8String('ä'.repeat(65))), SERIAL),
  },
  {
    rule: 'name.country',
    kind: 'idevid',
    accepts: subject(rdn('2.5.4.6', printableString('DE')), O, SERIAL),
    refuses: subject(rdn('2.5.4.6', printableString('D')), O, SERIAL),
  },
  {
    rule: 'name.attribute.control-character',
    kind: 'idevid',
    refuses: subject(rdn('2.5.4.10', utf8String('La\u0000b')), SERIAL),
  },
  {
    rule: 'name.attribute.white-space',
    kind: 'idevid',
    accepts: subject(O, rdn('2.5.4.5', printableString('SN 0001'))),
    refuses: subject(O, rdn('2.5.4.5', printableString('SN  0001'))),
  },
  {
    rule: 'name.attribute.white-space',
    kind: 'idevid',
    refuses: subject(O, rdn('2.5.4.5', printableString('SN-0001 '))),
  },
  {
    rule: 'name.multi-valued',
    kind: 'idevid',
    accepts: subject(O, SERIAL),
    refuses: subject(
      setOf(
        sequence(oid('2.5.4.10'), utf8String('Lab')),
        sequence(oid('2.5.4.5'), printableString('SN-0001')),
      ),
    ),
  },
  ...['01:23:45:67:89:ab', '01-23-45-67-89-AB-CD-EF', '0123.4567.89ab', '0123456789abcdef'].map(
    (address): Twin => ({
      rule: 'device.common-name.mac-address',
      kind: 'idevid',
      accepts: commonName('0123456789'),
      refuses: commonName(address),
    }),
  ),
  ...['sensor-7.example.com', '*.example.com'].map(
    (domain): Twin => ({
      rule: 'device.common-name.domain',
      kind: 'ldevid',
      accepts: commonName('Sensor v1.2'),
      refuses: commonName(domain),
    }),
  ),
  {
    rule: 'issuer.unreadable',
    kind: 'idevid',
    refuses: () => ({}),
    refusedIssuer: () => ({ ...issuerOf('idevid'), raw: Uint8Array.of(0x30, 0x00) }),
  },
  {
    rule: 'issuer.not-ca',
    kind: 'idevid',
    refuses: () => ({}),
    refusedIssuer: () => issuerOf('idevid', extend({ basicConstraints: undefined })),
  },
  {
    rule: 'issuer.key-cert-sign',
    kind: 'idevid',
    refuses: () => ({}),
    refusedIssuer: () => issuerOf('idevid', extend({ keyUsage: x509.keyUsage(['cRLSign']) })),
  },
  {
    rule: 'ca.issuer.path-length',
    kind: 'ca',
    refuses: () => ({}),
    refusedIssuer: () => issuerOf('ca', extend({ basicConstraints: x509.caConstraints(0) })),
  },
];
