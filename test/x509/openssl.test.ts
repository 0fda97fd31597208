import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { type Der, sequence } from '../../src/x509/der/encode.ts';
import { octetString, oid, time, unsigned } from '../../src/x509/der/values.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { nameToText, parseName } from '../../src/x509/name.ts';
import { toPem } from '../../src/x509/pem.ts';
import { keyIdentifier } from '../../src/x509/public-key.ts';
import { readByOthers, verifiesByOthers } from '../../src/x509/second-opinion.ts';
import { codeOf } from './code-of.ts';
import {
  ALL_KEY_KINDS,
  CA_NAME,
  type SampleKey,
  SHAPES,
  type Shape,
  sampleCertificate,
  sampleCsr,
  sampleKey,
  signed,
} from './samples.ts';
import { encodeTbsCertList } from './tbs-cert-list.ts';
import { hex } from './tlv.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-openssl-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly status: number | null;
  readonly out: Buffer;
  /** Both streams as text. */
  readonly text: string;
}

function openssl(words: readonly string[], input: Uint8Array = Buffer.alloc(0)): Run {
  const { status, stdout, stderr, error } = spawnSync('openssl', words, { input, cwd: folder });
  if (error) throw error;
  return { status, out: stdout, text: `${stdout.toString()}\n${stderr.toString()}` };
}

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(path.join(folder, name), content);
  return name;
}

/** What OpenSSL prints of each shape's extensions, without the spaces at the lines' ends. */
const PRINTED: Readonly<Record<Shape, readonly (string | RegExp)[]>> = {
  ca: [
    'X509v3 Basic Constraints: critical\n CA:TRUE, pathlen:0',
    'X509v3 Key Usage: critical\n Certificate Sign, CRL Sign',
    'X509v3 Subject Key Identifier:',
  ],
  idevid: [
    'Not After : Dec 31 23:59:59 9999 GMT',
    'X509v3 Key Usage: critical\n Digital Signature',
    'X509v3 Certificate Policies:\n Policy: 1.3.6.1.4.1.99999.2.1\n Policy: 2.23.133.11.1.1',
    /X509v3 Subject Alternative Name:\n othername: ?1\.3\.6\.1\.5\.5\.7\.8\.4:/,
    'OCSP - URI:http://ocsp.example/\n CA Issuers - URI:http://pki.example/ca.cer',
    'Full Name:\n URI:http://pki.example/crl/1.crl',
  ],
  ldevid: ['X509v3 Extended Key Usage:\n TLS Web Client Authentication', 'X509v3 Subject Key Identifier:'],
  server: [
    'X509v3 Subject Alternative Name:\n DNS:pki.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    'X509v3 Extended Key Usage:\n TLS Web Server Authentication',
  ],
  operator: ['X509v3 Extended Key Usage:\n TLS Web Client Authentication'],
  'ocsp-responder': ['X509v3 Extended Key Usage:\n OCSP Signing'],
};

describe('OpenSSL reads what we wrote', () => {
  test.each(ALL_KEY_KINDS)('certificates of each shape, signed with %s', (kind) => {
    const ca = sampleKey(kind);
    const rootDer = sampleCertificate('ca', ca, ca);
    const root = write('root.pem', toPem('CERTIFICATE', rootDer));
    for (const shape of SHAPES) {
      const der = shape === 'ca' ? rootDer : sampleCertificate(shape, sampleKey('P-256'), ca);
      const printed = openssl(
        ['x509', '-inform', 'DER', '-noout', '-text', '-nameopt', 'RFC2253,-esc_msb'],
        der,
      );
      const text = printed.text.replaceAll(/[ \t]+/g, ' ').replaceAll(/ ?\n ?/g, '\n ');
      expect(printed.status, shape).toBe(0);
      expect(text).toContain('Version: 3 (0x2)');
      expect(text).toContain('Serial Number:\n 01:9a:00:ff:7f:00:11:22:33:44:55:66:77:88:99:aa');
      expect(text).toContain('Issuer: CN=Birthmark IDevID CA 1,O=Bürklin Lab,C=DE');
      expect(text).toContain('Not Before: Jan 2 03:04:05 2026 GMT');
      if (shape !== 'ca') expect(text).toContain('Subject: serialNumber=SN-0001,O=Bürklin Lab');
      for (const expected of PRINTED[shape]) {
        if (typeof expected === 'string') expect(text, shape).toContain(expected);
        else expect(text, shape).toMatch(expected);
      }
      const leaf = write('leaf.pem', toPem('CERTIFICATE', der));
      const verified = openssl(['verify', '-no_check_time', '-x509_strict', '-CAfile', root, leaf]);
      expect(verified.text, shape).toContain('leaf.pem: OK');
    }
  });

  test('every value of a certificate, by asn1parse', () => {
    const key = sampleKey('P-256');
    const parsed = openssl(['asn1parse', '-inform', 'DER'], sampleCertificate('idevid', key, key));
    expect(parsed.status).toBe(0);
    expect(parsed.text).toMatch(/UTCTIME +:260102030405Z/);
    expect(parsed.text).toMatch(/GENERALIZEDTIME +:99991231235959Z/);
    expect(parsed.text).toMatch(/INTEGER +:019A00FF7F00112233445566778899AA/);
    expect(parsed.text).toMatch(/PRINTABLESTRING +:SN-0001/);
    expect(parsed.text).toMatch(/OBJECT +:X509v3 Key Usage\s+\S+ *\S* *\S* +.*BOOLEAN +:255/);
  });

  test('hardwareModuleName, by asn1parse', () => {
    const key = sampleKey('P-256');
    const { tbs } = parseCertificate(sampleCertificate('idevid', key, key));
    const san = tbs.extensions.find(({ oid: type }) => type === '2.5.29.17')?.value ?? hex('');
    const { text } = openssl(['asn1parse', '-inform', 'DER', '-i'], san);
    const shape = text
      .trim()
      .split('\n')
      .map((line) =>
        line
          .replace(/^.*(cons|prim): */, '')
          .replace(/ +:/, ' ')
          .trim(),
      );
    expect(shape).toEqual([
      'SEQUENCE',
      'cont [ 0 ]',
      expect.stringMatching(/^OBJECT (id-on-hardwareModuleName|1\.3\.6\.1\.5\.5\.7\.8\.4)$/),
      'cont [ 0 ]',
      'SEQUENCE',
      'OBJECT 1.3.6.1.4.1.99999.1.1',
      'OCTET STRING SN-0001',
    ]);
  });

  test.each(ALL_KEY_KINDS)('a CSR of %s, and refuses it once changed', (kind) => {
    const csr = sampleCsr(sampleKey(kind));
    expect(openssl(['req', '-inform', 'DER', '-verify', '-noout'], csr).status).toBe(0);
    const changed = Buffer.from(csr);
    changed.write('SN-0002', changed.indexOf('SN-0001'));
    expect(openssl(['req', '-inform', 'DER', '-verify', '-noout'], changed).text).toMatch(/fail/i);
  });

  const entry = (serial: string, ...rest: readonly Der[]) =>
    sequence(unsigned(hex(serial)), time(Date.UTC(2026, 1, 3)), ...rest);
  const keyCompromise = sequence(sequence(oid('2.5.29.21'), octetString(hex('0a 01 01'))));
  const crl = (key: SampleKey, entries: readonly Der[], more: readonly Der[]) =>
    signed(
      key,
      encodeTbsCertList({
        signatureAlgorithm: key.algorithm.der,
        issuer: CA_NAME,
        thisUpdate: Date.UTC(2026, 0, 2),
        nextUpdate: Date.UTC(2051, 0, 9),
        entries,
        extensions: [
          extensions.authorityKeyIdentifier(keyIdentifier(key.spki)),
          extensions.crlNumber(300),
          ...more,
        ],
      }),
    );

  test.each(ALL_KEY_KINDS)('CRLs of %s, with entries and without', (kind) => {
    const key = sampleKey(kind);
    const root = write('crl-root.pem', toPem('CERTIFICATE', sampleCertificate('ca', key, key)));
    const words = ['crl', '-inform', 'DER', '-noout', '-text', '-verify', '-CAfile', root];
    const empty = openssl(words, crl(key, [], []));
    expect(empty.text).toContain('verify OK');
    expect(empty.text).toContain('No Revoked Certificates.');
    expect(empty.text).toMatch(/X509v3 CRL Number: *\n *300/);
    expect(empty.text).toMatch(/Next Update: Jan +9 00:00:00 2051 GMT/);
    const shard = extensions.issuingDistributionPoint({
      url: 'http://pki.example/crl/1.crl',
      onlyUserCerts: true,
    });
    const full = openssl(words, crl(key, [entry('019a80', keyCompromise), entry('ff01')], [shard]));
    expect(full.text).toContain('verify OK');
    expect(full.text).toMatch(/Serial Number: 019A80\n +Revocation Date: Feb +3 00:00:00 2026 GMT/);
    expect(full.text).toContain('Key Compromise');
    expect(full.text).toContain('Serial Number: FF01');
    expect(full.text).toContain('X509v3 Issuing Distribution Point: critical');
    expect(full.text).toContain('Only User Certificates');
  });
});

describe('we read what OpenSSL wrote', () => {
  const KEYS: readonly (readonly [kind: string, words: readonly string[]])[] = [
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521', '-sha512']],
    ['Ed25519', ['-newkey', 'ed25519']],
    ['RSA-2048', ['-newkey', 'rsa:2048']],
    ['RSA-3072', ['-newkey', 'rsa:3072', '-sha384']],
    ['RSA-4096', ['-newkey', 'rsa:4096', '-sha512']],
  ];
  const SUBJECT = ['-subj', '/C=DE/O=Lab/CN=Gerät/serialNumber=SN-7', '-utf8'];
  const make = (words: readonly string[]) => {
    const made = openssl([
      'req',
      '-new',
      '-nodes',
      '-keyout',
      'key.pem',
      '-outform',
      'DER',
      ...SUBJECT,
      ...words,
    ]);
    if (made.status !== 0) throw new Error(made.text);
    return made.out;
  };

  test.each(KEYS)('a CSR of %s and a certificate of the same key', async (kind, words) => {
    const csr = parseCsr(
      make([
        ...words,
        '-addext',
        'subjectAltName=DNS:d.example',
        '-addext',
        'keyUsage=critical,digitalSignature',
      ]),
    );
    expect(codeOf(() => verifyPossession(csr))).toBe('accepted');
    expect(nameToText(csr.subject)).toBe('C=DE, O=Lab, CN=Gerät, serialNumber=SN-7');
    expect(csr.requestedExtensions.map(({ oid: type, critical }) => [type, critical])).toEqual([
      ['2.5.29.17', false],
      ['2.5.29.15', true],
    ]);
    if (csr.publicKey.kind === 'rsa') expect(`RSA-${csr.publicKey.bits}`).toBe(kind);
    const spki = openssl(['pkey', '-in', 'key.pem', '-pubout', '-outform', 'DER']).out;
    expect(Buffer.from(csr.spki)).toEqual(spki);

    const digest = words.filter((word) => word.startsWith('-sha'));
    const certificate = openssl([
      ...['req', '-x509', '-key', 'key.pem', '-outform', 'DER', '-days', '3650', '-set_serial', '0x80ff'],
      ...SUBJECT,
      ...digest,
    ]).out;
    const { tbs } = parseCertificate(certificate);
    expect(Buffer.from(tbs.serial)).toEqual(hex('0080ff'));
    expect(Buffer.from(tbs.subject)).toEqual(Buffer.from(csr.subject));
    expect(Buffer.from(tbs.spki)).toEqual(spki);
    expect(tbs.notAfter.at - tbs.notBefore.at).toBe(3650 * 86_400_000);
    expect(await readByOthers(certificate)).toEqual([]);
    expect(await verifiesByOthers(certificate, certificate)).toBe(true);
  });

  const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  test.each<readonly [title: string, words: readonly string[], code: string]>([
    ['a request signed with SHA-256', [...P256, '-sha256'], 'accepted'],
    ['a request signed with SHA-1', [...P256, '-sha1'], 'signature-algorithm-not-allowed'],
    [
      'explicit curve parameters',
      [...P256, '-pkeyopt', 'ec_param_enc:explicit'],
      'key-algorithm-not-allowed',
    ],
    [
      'a Brainpool curve',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:brainpoolP256r1'],
      'key-algorithm-not-allowed',
    ],
    [
      'RSA-PSS signatures',
      ['-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss'],
      'signature-algorithm-not-allowed',
    ],
    [
      'RSA-PSS keys',
      ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'],
      'signature-algorithm-not-allowed',
    ],
    ['Ed448', ['-newkey', 'ed448'], 'signature-algorithm-not-allowed'],
  ])('takes or refuses %s', (_title, words, code) => {
    expect(codeOf(() => parseCsr(make(words)))).toBe(code);
  });

  test('refuses a compressed point', () => {
    make([...P256]);
    openssl(['ec', '-in', 'key.pem', '-conv_form', 'compressed', '-out', 'compressed.pem']);
    const made = openssl(['req', '-new', '-key', 'compressed.pem', '-outform', 'DER', ...SUBJECT]);
    expect(codeOf(() => parseCsr(made.out))).toBe('key-unreadable');
  });

  test('an empty subject, and no attributes', () => {
    const csr = parseCsr(make([...P256, '-subj', '/']));
    expect([parseName(csr.subject), csr.requestedExtensions, csr.otherAttributes]).toEqual([[], [], []]);
  });

  test('several attributes in one RDN', () => {
    const csr = parseCsr(make([...P256, '-subj', '/O=Lab/CN=a+serialNumber=b', '-multivalue-rdn']));
    expect(parseName(csr.subject).map((rdn) => rdn.length)).toEqual([1, 2]);
  });
});
