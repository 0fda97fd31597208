import { type Der, explicit, primitive, sequence } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { octetString, oid, printableString, utf8String } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { both, CA_NAME, extend, HARDWARE_MODULE } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const san = (...names: readonly Der[]) =>
  extend({ subjectAltName: x509.extension('2.5.29.17', false, sequence(...names)) });
const criticalSan = (...names: readonly Der[]) =>
  extend({ subjectAltName: x509.extension('2.5.29.17', true, sequence(...names)) });
const text = (number: number, value: string) => primitive(TAG.context | number, Buffer.from(value, 'latin1'));
const email = (value: string) => text(1, value);
const dns = (value: string) => text(2, value);
const uri = (value: string) => text(6, value);
const ip = (octets: number) => primitive(TAG.context | 7, new Uint8Array(octets).fill(10));
const other = (type: string, value: Der): Der => ({
  ...sequence(oid(type), explicit(0, value)),
  tag: TAG.contextConstructed,
});

const HW_TYPE = oid(HARDWARE_MODULE.hwType);
const TPM = oid('2.23.133.1.2');
const hardware = (hwType: Der, hwSerialNum: Der) => other('1.3.6.1.5.5.7.8.4', sequence(hwType, hwSerialNum));
const octets = (value: string) => octetString(Buffer.from(value, 'latin1'));
const GOOD_HARDWARE = hardware(HW_TYPE, octets('SN-0001'));
const permanent = (...parts: readonly Der[]) => other('1.3.6.1.5.5.7.8.3', sequence(...parts));
const EK_DIGEST = oid('2.23.133.12.1');
const mac = (value: Der) => other('1.3.6.1.5.5.7.8.12', value);
/** The golden octets of a HardwareModuleName extension value, hwType 1.3.6.1.4.1.99999.1.1 and "SN-0001". */
const GOLDEN = Buffer.from(
  '3025a02306082b06010505070804a0173015060a2b06010401868d1f01010407534e2d30303031',
  'hex',
);

const namesTwin = (rule: string, accepted: Der, refused: Der, also: readonly string[] = []): Twin => ({
  rule,
  kind: 'ldevid',
  accepts: san(accepted),
  refuses: san(refused),
  also,
});

export const subjectAltNameTwins: readonly Twin[] = [
  namesTwin('subject-alt-name.malformed', dns('a.example'), utf8String('a.example')),
  { rule: 'subject-alt-name.empty', kind: 'ldevid', accepts: san(dns('a.example')), refuses: san() },
  {
    rule: 'subject-alt-name.critical',
    kind: 'ldevid',
    accepts: san(dns('a.example')),
    refuses: criticalSan(dns('a.example')),
  },
  {
    rule: 'subject-alt-name.not-critical',
    kind: 'server',
    accepts: both(() => ({ subject: sequence() }), criticalSan(dns('a.example'))),
    refuses: both(() => ({ subject: sequence() }), san(dns('a.example'))),
  },
  {
    rule: 'subject-alt-name.duplicate',
    kind: 'server',
    accepts: san(dns('a.example'), dns('b.example')),
    refuses: san(dns('a.example'), dns('a.example')),
  },
  namesTwin('subject-alt-name.ia5', uri('urn:x:a'), uri('urn:x:ä'), ['subject-alt-name.uri']),
  namesTwin('subject-alt-name.empty-name', dns('a'), dns('')),
  ...['-a.example', 'a..example', 'a b', 'under_score.example', 'a.*.example', 'a.example.'].map((name) =>
    namesTwin(
      'subject-alt-name.dns',
      dns('a.example'),
      dns(name),
      name.includes('*') ? ['device.subject-alt-name.wildcard'] : [],
    ),
  ),
  namesTwin('device.subject-alt-name.wildcard', dns('a.example'), dns('*.example')),
  {
    rule: 'subject-alt-name.dns',
    kind: 'server',
    accepts: san(dns('*.example.com')),
    refuses: san(dns('a.*.com')),
  },
  ...['no-scheme', '//host/path', 'https://'].map((url) =>
    namesTwin('subject-alt-name.uri', uri('urn:dev:1'), uri(url)),
  ),
  namesTwin('subject-alt-name.email', email('a@example.com'), email('A <a@example.com>')),
  namesTwin('subject-alt-name.ip', ip(4), ip(8)),
  namesTwin('subject-alt-name.ip', ip(16), ip(11)),
  namesTwin('subject-alt-name.directory-name', explicit(4, CA_NAME), explicit(4, sequence())),
  {
    rule: 'subject-alt-name.other-name',
    kind: 'idevid',
    accepts: extend({ subjectAltName: x509.extension('2.5.29.17', false, GOLDEN) }),
    // hwType and hwSerialNum without [0] EXPLICIT around them.
    refuses: san({
      ...sequence(oid('1.3.6.1.5.5.7.8.4'), sequence(HW_TYPE, octets('SN-0001'))),
      tag: TAG.contextConstructed,
    }),
  },
  { rule: 'idevid.subject-alt-name.missing', kind: 'idevid', refuses: extend({ subjectAltName: undefined }) },
  {
    rule: 'idevid.subject-alt-name.hardware-module-name',
    kind: 'idevid',
    accepts: san(dns('a.example'), GOOD_HARDWARE),
    refuses: san(dns('a.example')),
  },
  {
    rule: 'server.subject-alt-name.missing',
    kind: 'server',
    accepts: san(dns('a.example')),
    refuses: san(uri('urn:x:a')),
  },
  {
    rule: 'hardware-module-name.malformed',
    kind: 'idevid',
    accepts: san(GOOD_HARDWARE),
    refuses: san(hardware(HW_TYPE, utf8String('SN-0001'))),
  },
  {
    rule: 'hardware-module-name.serial-empty',
    kind: 'idevid',
    accepts: san(GOOD_HARDWARE),
    refuses: san(hardware(HW_TYPE, octets(''))),
  },
  {
    rule: 'hardware-module-name.several',
    kind: 'idevid',
    accepts: san(GOOD_HARDWARE),
    refuses: san(GOOD_HARDWARE, hardware(HW_TYPE, octets('SN-0002'))),
  },
  {
    rule: 'hardware-module-name.tpm-serial',
    kind: 'idevid',
    accepts: san(hardware(TPM, octets('00001014:2f6d41a5:4d5'))),
    refuses: san(hardware(TPM, octets('SN-0001'))),
  },
  {
    rule: 'permanent-identifier.malformed',
    kind: 'idevid',
    accepts: san(GOOD_HARDWARE, permanent(utf8String('x'), HW_TYPE)),
    refuses: san(GOOD_HARDWARE, permanent(printableString('x'), HW_TYPE)),
  },
  {
    rule: 'permanent-identifier.without-value',
    kind: 'operator',
    accepts: san(permanent(utf8String('x'), HW_TYPE)),
    refuses: san(permanent(HW_TYPE)),
  },
  {
    rule: 'permanent-identifier.tpm-digest',
    kind: 'idevid',
    accepts: san(GOOD_HARDWARE, permanent(utf8String('ab'.repeat(32)), EK_DIGEST)),
    refuses: san(GOOD_HARDWARE, permanent(utf8String('ab'.repeat(20)), EK_DIGEST)),
  },
  ...[octetString(new Uint8Array(5)), utf8String('00:11:22:33:44:55')].map((value) =>
    namesTwin('mac-address.form', mac(octetString(new Uint8Array(6))), mac(value)),
  ),
  namesTwin('mac-address.form', mac(octetString(new Uint8Array(8))), mac(octetString(new Uint8Array(12)))),
];
