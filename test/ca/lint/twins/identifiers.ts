import { constructed, type Der, explicit, primitive, sequence } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { octetString, utf8String } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { keyIdentifier } from '../../../../src/x509/public-key.ts';
import { CA_SPKI, extend, issuerOf, ROOT_NAME } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const CA_ID = keyIdentifier(CA_SPKI);
const keyId = primitive(TAG.context, CA_ID);
const issuer = constructed(TAG.contextConstructed | 1, [explicit(4, ROOT_NAME)]);
const serial = primitive(TAG.context | 2, Uint8Array.of(5));
const aki = (...parts: readonly Der[]) =>
  extend({ authorityKeyIdentifier: x509.extension('2.5.29.35', false, sequence(...parts)) });
const ski = (octets: number, critical = false) =>
  extend({
    subjectKeyIdentifier: x509.extension('2.5.29.14', critical, octetString(new Uint8Array(octets).fill(3))),
  });

export const identifierTwins: readonly Twin[] = [
  {
    rule: 'authority-key-identifier.missing',
    kind: 'idevid',
    refuses: extend({ authorityKeyIdentifier: undefined }),
  },
  {
    rule: 'authority-key-identifier.malformed',
    kind: 'idevid',
    accepts: aki(keyId),
    refuses: aki(keyId, utf8String('x')),
  },
  {
    rule: 'authority-key-identifier.critical',
    kind: 'idevid',
    refuses: extend({ authorityKeyIdentifier: x509.extension('2.5.29.35', true, sequence(keyId)) }),
  },
  { rule: 'authority-key-identifier.key-identifier', kind: 'idevid', refuses: aki() },
  {
    rule: 'authority-key-identifier.key-identifier',
    kind: 'idevid',
    refuses: aki(issuer, serial),
    also: ['authority-key-identifier.issuer-and-serial'],
  },
  { rule: 'authority-key-identifier.pair', kind: 'idevid', refuses: aki(keyId, issuer) },
  { rule: 'authority-key-identifier.issuer-and-serial', kind: 'idevid', refuses: aki(keyId, issuer, serial) },
  {
    rule: 'authority-key-identifier.mismatch',
    kind: 'idevid',
    accepts: aki(keyId),
    refuses: aki(primitive(TAG.context, new Uint8Array(20).fill(7))),
  },
  {
    rule: 'authority-key-identifier.mismatch',
    kind: 'ldevid',
    refuses: aki(primitive(TAG.context, new Uint8Array(20).fill(7))),
    refusedIssuer: () => issuerOf('ldevid', extend({ subjectKeyIdentifier: undefined })),
  },
  {
    rule: 'subject-key-identifier.malformed',
    kind: 'ldevid',
    refuses: extend({ subjectKeyIdentifier: x509.extension('2.5.29.14', false, utf8String('x')) }),
  },
  { rule: 'subject-key-identifier.malformed', kind: 'ldevid', accepts: ski(20), refuses: ski(0) },
  { rule: 'subject-key-identifier.critical', kind: 'ldevid', accepts: ski(20), refuses: ski(20, true) },
  { rule: 'subject-key-identifier.too-long', kind: 'ldevid', accepts: ski(20), refuses: ski(21) },
  { rule: 'idevid.subject-key-identifier.present', kind: 'idevid', refuses: ski(20) },
  {
    rule: 'ldevid.subject-key-identifier.missing',
    kind: 'ldevid',
    refuses: extend({ subjectKeyIdentifier: undefined }),
  },
  {
    rule: 'ca.subject-key-identifier.missing',
    kind: 'ca',
    refuses: extend({ subjectKeyIdentifier: undefined }),
  },
  {
    rule: 'service.subject-key-identifier.missing',
    kind: 'server',
    refuses: extend({ subjectKeyIdentifier: undefined }),
  },
];
