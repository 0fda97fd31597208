import { sequence } from '../../../../src/x509/der/encode.ts';
import { integer, oid, utf8String } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import { both, type Change, ED25519_SPKI, extend, rsaSpki } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const raw = (hex: string): Buffer => Buffer.from(hex, 'hex');
const usage = (...usages: readonly x509.KeyUsageName[]) => extend({ keyUsage: x509.keyUsage(usages) });
const usageBits = (hex: string) => extend({ keyUsage: x509.extension('2.5.29.15', true, raw(hex)) });
const rsa: Change = () => ({ spki: rsaSpki(2048) });
const purposes = (...oids: readonly string[]) => extend({ extendedKeyUsage: x509.extendedKeyUsage(oids) });
const { serverAuth, clientAuth, ocspSigning, any } = x509.EXTENDED_KEY_USAGE;
const CMC_RA = '1.3.6.1.5.5.7.3.28';

export const usageTwins: readonly Twin[] = [
  { rule: 'key-usage.missing', kind: 'idevid', refuses: extend({ keyUsage: undefined }) },
  {
    rule: 'key-usage.malformed',
    kind: 'idevid',
    refuses: extend({ keyUsage: x509.extension('2.5.29.15', true, integer(1)) }),
  },
  {
    rule: 'key-usage.trailing-zero-bits',
    kind: 'idevid',
    accepts: usageBits('03020780'),
    refuses: usageBits('03020080'),
  },
  {
    rule: 'key-usage.empty',
    kind: 'idevid',
    refuses: usageBits('030100'),
    also: ['key-usage.digital-signature'],
  },
  {
    rule: 'key-usage.not-critical',
    kind: 'idevid',
    refuses: extend({ keyUsage: x509.extension('2.5.29.15', false, raw('03020780')) }),
  },
  {
    rule: 'key-usage.digital-signature',
    kind: 'server',
    accepts: both(rsa, usage('digitalSignature', 'keyEncipherment')),
    refuses: both(rsa, usage('keyEncipherment')),
  },
  { rule: 'key-usage.ca-only', kind: 'idevid', refuses: usage('digitalSignature', 'keyCertSign') },
  { rule: 'key-usage.ca-only', kind: 'idevid', refuses: usage('digitalSignature', 'cRLSign') },
  {
    rule: 'key-usage.encipherment',
    kind: 'ldevid',
    accepts: both(rsa, usage('digitalSignature', 'keyEncipherment')),
    refuses: usage('digitalSignature', 'keyEncipherment'),
  },
  {
    rule: 'key-usage.agreement',
    kind: 'server',
    accepts: usage('digitalSignature', 'keyAgreement'),
    aside: ['key-usage.unusual'],
    refuses: both(() => ({ spki: ED25519_SPKI }), usage('digitalSignature', 'keyAgreement')),
    also: ['key-usage.unusual'],
  },
  {
    rule: 'key-usage.only-without-agreement',
    kind: 'server',
    accepts: usage('digitalSignature', 'keyAgreement', 'decipherOnly'),
    aside: ['key-usage.unusual'],
    refuses: usage('digitalSignature', 'decipherOnly'),
    also: ['key-usage.unusual'],
  },
  { rule: 'key-usage.unusual', kind: 'idevid', refuses: usage('digitalSignature', 'nonRepudiation') },
  {
    rule: 'idevid.key-usage.key-encipherment',
    kind: 'idevid',
    accepts: both(rsa, usage('digitalSignature')),
    refuses: both(rsa, usage('digitalSignature', 'keyEncipherment')),
  },
  { rule: 'ca.key-usage.key-cert-sign', kind: 'ca', refuses: usage('cRLSign') },
  { rule: 'ca.key-usage.crl-sign', kind: 'ca', refuses: usage('keyCertSign') },
  {
    rule: 'ca.key-usage.unusual',
    kind: 'ca',
    accepts: usage('digitalSignature', 'keyCertSign', 'cRLSign'),
    refuses: usage('keyAgreement', 'keyCertSign', 'cRLSign'),
  },
  {
    rule: 'extended-key-usage.malformed',
    kind: 'ldevid',
    refuses: extend({
      extendedKeyUsage: x509.extension('2.5.29.37', false, sequence(oid(clientAuth), utf8String('x'))),
    }),
  },
  {
    rule: 'extended-key-usage.empty',
    kind: 'ldevid',
    refuses: purposes(),
    also: ['ldevid.extended-key-usage.tls'],
  },
  { rule: 'extended-key-usage.duplicate', kind: 'ldevid', refuses: purposes(clientAuth, clientAuth) },
  {
    rule: 'extended-key-usage.any-critical',
    kind: 'server',
    accepts: purposes(serverAuth, any),
    refuses: extend({
      extendedKeyUsage: x509.extension('2.5.29.37', true, sequence(oid(serverAuth), oid(any))),
    }),
  },
  { rule: 'idevid.extended-key-usage.present', kind: 'idevid', refuses: purposes(clientAuth) },
  {
    rule: 'ldevid.extended-key-usage.tls',
    kind: 'ldevid',
    accepts: purposes('1.3.6.1.5.5.7.3.3', serverAuth),
    refuses: purposes('1.3.6.1.5.5.7.3.3'),
  },
  { rule: 'ldevid.extended-key-usage.tls', kind: 'ldevid', refuses: extend({ extendedKeyUsage: undefined }) },
  {
    rule: 'device.extended-key-usage.privileged',
    kind: 'ldevid',
    refuses: purposes(clientAuth, ocspSigning),
  },
  { rule: 'device.extended-key-usage.privileged', kind: 'operator', refuses: purposes(clientAuth, CMC_RA) },
  { rule: 'device.extended-key-usage.any', kind: 'ldevid', refuses: purposes(clientAuth, any) },
  {
    rule: 'server.extended-key-usage.server-auth',
    kind: 'server',
    accepts: purposes(serverAuth),
    refuses: purposes(clientAuth),
  },
  {
    rule: 'operator.extended-key-usage.client-auth',
    kind: 'operator',
    accepts: purposes(clientAuth),
    refuses: purposes(serverAuth),
  },
  {
    rule: 'ocsp-responder.extended-key-usage.ocsp-signing',
    kind: 'ocsp-responder',
    accepts: purposes(ocspSigning),
    refuses: purposes(any),
  },
];
