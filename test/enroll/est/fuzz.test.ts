import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareBinding } from '../../../src/enroll/compare-binding.ts';
import { parseBasicAuth } from '../../../src/enroll/est/basic-auth.ts';
import { decodeBody } from '../../../src/enroll/est/body.ts';
import { assertMediaType } from '../../../src/enroll/est/media-type.ts';
import { parseForwarded } from '../../../src/server/forwarded-certificate.ts';
import { readTbsCertificate } from '../../../src/x509/certificate.ts';
import { compareIdentity } from '../../../src/x509/compare-identity.ts';
import { parseCsr } from '../../../src/x509/csr.ts';
import { encodeCsrAttributes } from '../../../src/x509/csr-attributes.ts';
import { encode, sequence, setOf } from '../../../src/x509/der/encode.ts';
import { oid, printableString } from '../../../src/x509/der/values.ts';
import { readEstAttributes } from '../../../src/x509/est-attributes.ts';
import { subjectAltName } from '../../../src/x509/extensions.ts';
import { parseGeneralNames } from '../../../src/x509/general-name.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { readCsrAttributes } from '../../../src/x509/read-csr-attributes.ts';
import { type FuzzTarget, fuzz, fuzzSeconds } from '../../fuzz-run.ts';
import { HARDWARE_MODULE, sampleCertificate, sampleCsr, sampleKey, sampleTbs } from '../../x509/samples.ts';
import { tlv } from '../../x509/tlv.ts';

const SECONDS = fuzzSeconds(2);

const key = sampleKey('P-256');
const san = subjectAltName([HARDWARE_MODULE, { kind: 'dns', name: 'd.example' }]);
const directory = tlv(0xa4, encodeName([{ type: 'CN', value: 'd' }]));
const names = tlv(0x30, tlv(0x82, Buffer.from('d.example')), directory, tlv(0x87, Buffer.of(127, 0, 0, 1)));
const csr = sampleCsr(key, {
  attributes: [
    sequence(oid('1.2.840.113549.1.9.7'), setOf(printableString('q83vASNFZ4mrze8B'))),
    sequence(oid('1.2.840.113549.1.9.14'), setOf(sequence(san))),
    sequence(oid('1.3.6.1.5.5.7.7.36'), setOf(sequence(encodeName([{ type: 'CN', value: 'new' }]), names))),
  ],
});
const certificate = sampleCertificate('ldevid', key, key);
const tbs = readTbsCertificate(sampleTbs('ldevid', key, key, { extensions: [san] }));
const csrAttributes = encodeCsrAttributes({
  key: { kind: 'rsa', bits: 2048 },
  extensions: [san],
  signature: 'rsa-sha256',
  template: { subject: [{ type: 'CN' }, { type: 'O', value: 'a' }], openExtensions: ['2.5.29.37'] },
});
const pem = toPem('CERTIFICATE', certificate);
const binding = Buffer.alloc(32, 0xa5);
const text = (octets: Buffer) => octets.toString('latin1');
const forwarded = (kind: 'rfc9440' | 'xfcc') => (octets: Buffer) =>
  parseForwarded(
    { kind },
    {
      'client-cert': text(octets),
      'client-cert-chain': text(octets),
      'x-forwarded-client-cert': text(octets),
    },
  );

const TARGETS: readonly FuzzTarget[] = [
  {
    name: 'decodeBody',
    corpus: [csr.toString('base64'), toPem('CERTIFICATE REQUEST', csr), csr],
    read: (octets) => decodeBody(octets, { pem: true }),
  },
  {
    name: 'assertMediaType',
    corpus: ['application/pkcs10; charset="utf-8"'],
    read: (octets) => assertMediaType(text(octets), 'application/pkcs10'),
  },
  {
    name: 'parseBasicAuth',
    corpus: ['Basic U04tMTpzZWNyZXQ='],
    read: (octets) => parseBasicAuth(text(octets)),
  },
  {
    name: 'compareBinding',
    corpus: [binding.toString('base64')],
    read: (octets) => compareBinding(text(octets), binding),
  },
  {
    name: 'parseForwarded, RFC 9440',
    corpus: [`:${certificate.toString('base64')}:`],
    read: forwarded('rfc9440'),
  },
  {
    name: 'parseForwarded, XFCC',
    corpus: [`By=a;Hash=b;Subject="CN=\\"d\\"";Cert="${encodeURIComponent(pem)}";URI=c`],
    read: forwarded('xfcc'),
  },
  {
    name: 'parseForwarded, nginx',
    corpus: [encodeURIComponent(pem)],
    read: (octets) => parseForwarded({ kind: 'nginx', header: 'a' }, { a: text(octets) }),
  },
  { name: 'parseGeneralNames', corpus: [names], read: parseGeneralNames },
  { name: 'readEstAttributes', corpus: [csr], read: (octets) => readEstAttributes(parseCsr(octets)) },
  { name: 'compareIdentity', corpus: [csr], read: (octets) => compareIdentity(parseCsr(octets), tbs) },
  { name: 'readCsrAttributes', corpus: [csrAttributes, encode(sequence())], read: readCsrAttributes },
];

const { stackTraceLimit } = Error;
beforeAll(() => {
  // Most of the time of a refusal is its stack trace.
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

test.each(TARGETS)('$name takes what it is made for', ({ corpus, read }) => {
  for (const input of corpus.slice(0, 1)) expect(() => read(Buffer.from(input))).not.toThrow();
});

test.each(TARGETS)(
  '$name refuses with a code and in time, whatever is sent',
  { timeout: (SECONDS + 30) * 1000 },
  (target) => fuzz(target, SECONDS / TARGETS.length),
);
