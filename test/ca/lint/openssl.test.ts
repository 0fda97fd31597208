import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lintCertificate } from '../../../src/ca/lint/lint.ts';
import type { LintKind } from '../../../src/ca/lint/rule.ts';
import { type Certificate, readCertificate } from '../../../src/x509/certificate.ts';
import { parsePem } from '../../../src/x509/pem.ts';

/** What a person who knows OpenSSL and IEEE 802.1AR writes for an IDevID. */
const IDEVID = {
  basicConstraints: undefined,
  subjectKeyIdentifier: 'none',
  authorityKeyIdentifier: 'keyid',
  keyUsage: 'critical,digitalSignature',
  extendedKeyUsage: undefined,
  subjectAltName: 'otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw',
  crlDistributionPoints: 'URI:http://pki.example.com/ca.crl',
  nsComment: undefined,
} as const;
type Extensions = Readonly<Record<string, string | undefined>>;

interface Request {
  readonly extensions?: Extensions;
  readonly subject?: string;
  readonly end?: string;
  readonly serial?: string;
  readonly key?: 'ec' | 'rsa' | 'ed25519';
  readonly kind?: LintKind;
  readonly digest?: string;
}

let folder: string;
let issuer: Certificate;

const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
const readPem = (name: string) =>
  parsePem(readFileSync(join(folder, name), 'utf8').replace(/^[^-]+/, ''), ['CERTIFICATE'], name);

function section(name: string, entries: Extensions): string {
  const lines = Object.entries(entries).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} = ${value}`],
  );
  return `[${name}]\n${lines.join('\n')}\n`;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lint-openssl-'));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/O=Lab/CN=Lab CA',
    '-days',
    '3650',
  );
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'ec.key');
  openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', 'rsa.key');
  openssl('genpkey', '-algorithm', 'ED25519', '-out', 'ed25519.key');
  issuer = readCertificate(readPem('ca.pem'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The rules that a certificate of `openssl ca` breaks. */
function lintOf(request: Request): readonly string[] {
  const {
    subject = '/O=Lab/serialNumber=SN-0001',
    end = '99991231235959Z',
    key = 'ec',
    kind = 'idevid',
  } = request;
  const configuration = [
    '[ca]\ndefault_ca = lab',
    `[lab]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\ncertificate = ca.pem\nprivate_key = ca.key`,
    `default_md = ${request.digest ?? 'sha256'}\npolicy = any\nunique_subject = no\npreserve = yes\nx509_extensions = ext`,
    '[any]\norganizationName = optional\nserialNumber = optional\ncommonName = optional\nemailAddress = optional',
    section('hw', { hwType: 'OID:1.3.6.1.4.1.99999.1', hwSerialNum: 'OCTETSTRING:SN-0001' }),
    section('hwText', { hwType: 'OID:1.3.6.1.4.1.99999.1', hwSerialNum: 'UTF8:SN-0001' }),
    section('ext', { ...IDEVID, ...request.extensions }),
  ].join('\n');
  writeFileSync(join(folder, 'ca.cnf'), configuration);
  writeFileSync(join(folder, 'index.txt'), '');
  writeFileSync(join(folder, 'serial'), `${request.serial ?? '5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A'}\n`);
  openssl('req', '-new', '-key', `${key}.key`, '-subj', subject, '-out', 'device.csr');
  openssl(
    'ca',
    '-batch',
    '-notext',
    '-config',
    'ca.cnf',
    '-in',
    'device.csr',
    '-out',
    'device.pem',
    '-enddate',
    end,
  );
  return lintCertificate(readPem('device.pem'), { kind, issuer }).map(({ rule }) => rule);
}

describe('a certificate made by OpenSSL', () => {
  it('has no finding where everything is told to OpenSSL', () => {
    expect(lintOf({})).toEqual([]);
  });

  it.each<[string, Request, readonly string[]]>([
    [
      'a key identifier that was not asked for',
      { extensions: { subjectKeyIdentifier: 'hash' } },
      ['idevid.subject-key-identifier.present'],
    ],
    [
      'basicConstraints that says nothing',
      { extensions: { basicConstraints: 'CA:FALSE' } },
      ['device.basic-constraints.present'],
    ],
    ["an authority's constraints", { extensions: { basicConstraints: 'CA:TRUE' } }, ['basic-constraints.ca']],
    [
      "the authority's certificate named by number",
      { extensions: { authorityKeyIdentifier: 'keyid,issuer:always' } },
      ['authority-key-identifier.issuer-and-serial'],
    ],
    ['a comment', { extensions: { nsComment: '"OpenSSL Generated Certificate"' } }, ['extensions.netscape']],
    [
      'a limited purpose',
      { extensions: { extendedKeyUsage: 'clientAuth' } },
      ['idevid.extended-key-usage.present'],
    ],
    [
      'keyUsage that may be passed over',
      { extensions: { keyUsage: 'digitalSignature' } },
      ['key-usage.not-critical'],
    ],
    [
      'keyEncipherment for a curve',
      { extensions: { keyUsage: 'critical,digitalSignature,keyEncipherment' } },
      ['key-usage.encipherment', 'idevid.key-usage.key-encipherment'],
    ],
    [
      'a hardware module whose serial number is text',
      { extensions: { subjectAltName: 'otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hwText' } },
      ['hardware-module-name.malformed'],
    ],
    [
      'alternative names without a hardware module',
      { extensions: { subjectAltName: 'URI:urn:dev:1' } },
      ['idevid.subject-alt-name.hardware-module-name'],
    ],
    [
      'a CRL behind https',
      { extensions: { crlDistributionPoints: 'URI:https://pki.example.com/ca.crl' } },
      ['crl-distribution-points.http'],
    ],
    [
      'a year too few digits',
      { end: '991231235959Z' },
      ['validity.year-99', 'validity.order', 'idevid.validity.ends'],
    ],
    ['an end', { end: '350101000000Z' }, ['idevid.validity.ends']],
    ['a number counted up', { serial: '01' }, ['serial.too-short']],
    [
      'a subject without serial number',
      { subject: '/O=Lab/CN=Model 7' },
      ['idevid.subject.serial-number.missing'],
    ],
    [
      'a domain for a name',
      { subject: '/O=Lab/CN=d.example.com/serialNumber=SN-1' },
      ['device.common-name.domain'],
    ],
    ['SHA-384 under P-256', { digest: 'sha384' }, ['algorithm.pairing']],
    ['an Ed25519 key', { key: 'ed25519' }, ['device.key.suite']],
    ['an RSA key', { key: 'rsa' }, []],
    [
      'no purpose for an LDevID',
      { kind: 'ldevid', end: '270101000000Z' },
      ['ldevid.subject-key-identifier.missing', 'ldevid.extended-key-usage.tls'],
    ],
  ])('with %s is found out', (_, request, expected) => {
    expect([...lintOf(request)].sort()).toEqual([...expected].sort());
  });

  it('without extensions is found to be v1', () => {
    openssl('req', '-new', '-key', 'ec.key', '-subj', '/O=Lab/serialNumber=SN-1', '-out', 'device.csr');
    writeFileSync(join(folder, 'none.cnf'), '');
    openssl(
      'x509',
      '-req',
      '-in',
      'device.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-extfile',
      'none.cnf',
      '-out',
      'v1.pem',
    );
    const rules = lintCertificate(readPem('v1.pem'), { kind: 'idevid', issuer }).map(({ rule }) => rule);
    expect(rules).toContain(
      openssl('x509', '-in', 'v1.pem', '-noout', '-text').includes('Version: 1')
        ? 'version.not-v3'
        : 'key-usage.missing',
    );
  });
});
