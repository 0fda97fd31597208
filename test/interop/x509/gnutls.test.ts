import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { parseCsr, verifyPossession } from '../../../src/x509/csr.ts';
import * as extensions from '../../../src/x509/extensions.ts';
import { nameToText } from '../../../src/x509/name.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { hashKey, keyIdentifier } from '../../../src/x509/public-key.ts';
import { readByOthers, verifiesByOthers } from '../../../src/x509/second-opinion.ts';
import { codeOf } from '../../x509/code-of.ts';
import {
  ALL_KEY_KINDS,
  CA_NAME,
  SHAPES,
  sampleCertificate,
  sampleCsr,
  sampleKey,
  signed,
} from '../../x509/samples.ts';
import { encodeTbsCertList } from '../../x509/tbs-cert-list.ts';
import { hex } from '../../x509/tlv.ts';
import { hasProgram, Workplace } from './program.ts';

const KEYS = [
  ['P-256', ['--key-type', 'ecdsa', '--curve', 'secp256r1']],
  ['P-384', ['--key-type', 'ecdsa', '--curve', 'secp384r1']],
  ['P-521', ['--key-type', 'ecdsa', '--curve', 'secp521r1']],
  ['Ed25519', ['--key-type', 'ed25519']],
  ['RSA-2048', ['--key-type', 'rsa', '--bits', '2048']],
  ['RSA-3072', ['--key-type', 'rsa', '--bits', '3072']],
  ['RSA-4096', ['--key-type', 'rsa', '--bits', '4096']],
] as const;

const TEMPLATE = `organization = "Lab"
cn = "Gerät"
dn_oid = "2.5.4.5 SN-7"
dns_name = "d.example"
serial = 33023
expiration_date = "9999-12-31 23:59:59 UTC"
signing_key
ca
`;

describe.skipIf(!hasProgram('certtool'))('GnuTLS certtool', () => {
  const workplace = new Workplace();
  afterAll(() => workplace.remove());
  const file = (name: string) => readFileSync(path.join(workplace.folder, name));

  test.each(KEYS)('we read its CSR of %s, and its certificate of the same key', async (kind, words) => {
    workplace.write('template', TEMPLATE);
    workplace.run('certtool', ['--generate-privkey', ...words, '--outfile', 'key.pem']);
    const make = ['--load-privkey', 'key.pem', '--template', 'template', '--outder', '--outfile'];
    workplace.run('certtool', ['--generate-request', ...make, 'csr.der']);
    workplace.run('certtool', ['--generate-self-signed', ...make, 'certificate.der']);

    const csr = parseCsr(file('csr.der'));
    expect(codeOf(() => verifyPossession(csr))).toBe('accepted');
    expect(nameToText(csr.subject)).toBe('O=Lab, CN=Gerät, serialNumber=SN-7');
    expect(csr.requestedExtensions.map(({ oid }) => oid)).toContain('2.5.29.17');
    if (csr.publicKey.kind === 'rsa') expect(`RSA-${csr.publicKey.bits}`).toBe(kind);
    workplace.run('certtool', [
      '--load-privkey',
      'key.pem',
      '--pubkey-info',
      '--outder',
      '--outfile',
      'key.der',
    ]);
    expect(Buffer.from(csr.spki)).toEqual(file('key.der'));

    const certificate = file('certificate.der');
    const { tbs } = parseCertificate(certificate);
    expect(Buffer.from(tbs.serial)).toEqual(hex('0080ff'));
    expect(Buffer.from(tbs.subject)).toEqual(Buffer.from(csr.subject));
    expect(hashKey(tbs.spki)).toEqual(hashKey(csr.spki));
    expect(new Date(tbs.notAfter.at).toISOString()).toBe('9999-12-31T23:59:59.000Z');
    expect(await readByOthers(certificate)).toEqual([]);
    expect(await verifiesByOthers(certificate, certificate)).toBe(true);
  });

  test.each(ALL_KEY_KINDS)('it reads and verifies our certificates, CSR and CRL of %s', (kind) => {
    const ca = sampleKey(kind);
    const root = sampleCertificate('ca', ca, ca);
    workplace.write('root.pem', toPem('CERTIFICATE', root));
    for (const shape of SHAPES.filter((name) => name !== 'ca')) {
      const der = sampleCertificate(shape, sampleKey('P-256'), ca);
      workplace.write('leaf.pem', toPem('CERTIFICATE', der));
      const { text } = workplace.run('certtool', [
        ...['--verify', '--load-ca-certificate', 'root.pem', '--infile', 'leaf.pem'],
      ]);
      expect(text, shape).toContain('The certificate is trusted.');
    }
    workplace.write('csr.pem', toPem('CERTIFICATE REQUEST', sampleCsr(ca)));
    expect(workplace.run('certtool', ['--crq-info', '--infile', 'csr.pem']).text).toContain(
      'Self signature: verified',
    );
    const tbs = encodeTbsCertList({
      signatureAlgorithm: ca.algorithm.der,
      issuer: CA_NAME,
      thisUpdate: Date.UTC(2026, 0, 2),
      nextUpdate: Date.UTC(2049, 0, 9),
      entries: [],
      extensions: [extensions.authorityKeyIdentifier(keyIdentifier(ca.spki)), extensions.crlNumber(300)],
    });
    workplace.write('crl.pem', toPem('X509 CRL', signed(ca, tbs)));
    const crl = workplace.run('certtool', [
      ...['--verify-crl', '--load-ca-certificate', 'root.pem', '--infile', 'crl.pem'],
    ]);
    expect(crl.text).toMatch(/Verification output: Verified|No revoked certificates/);
  });
});
