import { afterAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { parseCsr, verifyPossession } from '../../../src/x509/csr.ts';
import { nameToText } from '../../../src/x509/name.ts';
import { readByOthers, verifiesByOthers } from '../../../src/x509/second-opinion.ts';
import { codeOf } from '../../x509/code-of.ts';
import { ALL_KEY_KINDS, SHAPES, sampleCertificate, sampleCsr, sampleKey } from '../../x509/samples.ts';
import { hex, replaceOnce } from '../../x509/tlv.ts';
import { hasProgram, Workplace } from './program.ts';

const KEYS = [
  ['P-256', ['--type', 'ecdsa', '--size', '256']],
  ['P-384', ['--type', 'ecdsa', '--size', '384']],
  ['P-521', ['--type', 'ecdsa', '--size', '521']],
  ['Ed25519', ['--type', 'ed25519']],
  ['RSA-2048', ['--type', 'rsa', '--size', '2048']],
  ['RSA-3072', ['--type', 'rsa', '--size', '3072']],
  ['RSA-4096', ['--type', 'rsa', '--size', '4096']],
] as const;

describe.skipIf(!hasProgram('pki'))('strongSwan pki', () => {
  const workplace = new Workplace();
  afterAll(() => workplace.remove());

  test.each(KEYS)('we read its CSR of %s, and its certificate of the same key', async (kind, words) => {
    workplace.write('key.der', workplace.run('pki', ['--gen', ...words, '--outform', 'der']).out);
    const spki = workplace.run('pki', ['--pub', '--in', 'key.der', '--type', 'priv', '--outform', 'der']).out;
    const make = ['--in', 'key.der', '--type', 'priv', '--san', 'd.example', '--outform', 'der'];
    const dn = 'C=DE, O=Lab, serialNumber=SN-7';

    const csr = parseCsr(workplace.run('pki', ['--req', ...make, '--dn', dn]).out);
    expect(codeOf(() => verifyPossession(csr))).toBe('accepted');
    expect(nameToText(csr.subject)).toBe(dn);
    expect(Buffer.from(csr.spki)).toEqual(spki);
    expect(csr.requestedExtensions.map(({ oid }) => oid)).toEqual(['2.5.29.17']);
    if (csr.publicKey.kind === 'rsa') expect(`RSA-${csr.publicKey.bits}`).toBe(kind);

    const certificate = workplace.run('pki', [
      '--self',
      ...make,
      '--dn',
      dn,
      '--ca',
      '--serial',
      '0080ff',
    ]).out;
    const { tbs } = parseCertificate(certificate);
    expect(Buffer.from(tbs.serial)).toEqual(hex('0080ff'));
    expect(nameToText(tbs.subject)).toBe(dn);
    expect(Buffer.from(tbs.spki)).toEqual(spki);
    expect(await readByOthers(certificate)).toEqual([]);
    expect(await verifiesByOthers(certificate, certificate)).toBe(true);
  });

  test('we read a CSR with a challenge password', () => {
    workplace.write('key.der', workplace.run('pki', ['--gen', '--type', 'ecdsa', '--outform', 'der']).out);
    const words = ['--req', '--in', 'key.der', '--type', 'priv', '--dn', 'CN=d', '--password', 'secret'];
    const csr = parseCsr(workplace.run('pki', [...words, '--outform', 'der']).out);
    expect(csr.otherAttributes).toEqual(['1.2.840.113549.1.9.7']);
  });

  test.each(ALL_KEY_KINDS)('it reads and verifies our certificates and CSR of %s', (kind) => {
    const ca = sampleKey(kind);
    workplace.write('root.der', sampleCertificate('ca', ca, ca));
    for (const shape of SHAPES.filter((name) => name !== 'ca')) {
      workplace.write('leaf.der', sampleCertificate(shape, sampleKey('P-256'), ca));
      const printed = workplace.run('pki', ['--print', '--in', 'leaf.der']).text;
      expect(printed, shape).toMatch(/serial: +01:9a:00:ff:7f:00:11:22:33:44:55:66:77:88:99:aa/);
      const { text } = workplace.run('pki', ['--verify', '--in', 'leaf.der', '--cacert', 'root.der']);
      expect(text, shape).toMatch(/certificate trusted/);
    }
    const csr = sampleCsr(ca);
    const words = ['--pub', '--type', 'pkcs10', '--in', 'csr.der', '--outform', 'der'];
    workplace.write('csr.der', csr);
    expect(workplace.run('pki', words).out).toEqual(ca.spki);
    workplace.write('csr.der', replaceOnce(csr, Buffer.from('SN-0001'), Buffer.from('SN-0002')));
    expect(() => workplace.run('pki', words)).toThrow(/certificate request is not self-signed/);
  });
});
