import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { makeCsr } from '../../src/agent/est/make-csr.ts';
import { disk } from '../../src/agent/index.ts';
import { fileKeys } from '../../src/agent/key/file-key.ts';
import { KEY_TYPES, type KeyType } from '../../src/agent/key/key-type.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { compareIdentity } from '../../src/x509/compare-identity.ts';
import { parseCsr, verifyPossession } from '../../src/x509/csr.ts';
import { readEstAttributes } from '../../src/x509/est-attributes.ts';
import { subjectAltName } from '../../src/x509/extensions.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { makeCertificate } from '../x509/path/make-certificate.ts';

const BINDING = 'A'.repeat(43);
const ticket = { kind: 'ticket', serialNumber: 'SN-1', ticket: 'x' } as const;

function newFileKey(type: KeyType) {
  const folder = temporaryFolder();
  const keys = fileKeys(disk);
  keys.make('a', folder, type);
  return keys.open('a', folder);
}

test.each(KEY_TYPES)(
  'a CSR with a key of type %s proves its possession and holds the binding, to us and to OpenSSL',
  (type) => {
    const csr = makeCsr(newFileKey(type), ticket, `${BINDING}=`);
    const read = parseCsr(csr);
    verifyPossession(read);
    expect(readEstAttributes(read).challengePassword).toBe(`${BINDING}=`);
    const words = ['req', '-inform', 'DER', '-verify', '-noout', '-subject', '-text'];
    const { stdout, stderr } = spawnSync('openssl', words, { input: csr, encoding: 'utf8' });
    expect(stderr).toContain('verify OK');
    expect(stdout).toContain('serialNumber = SN-1');
    expect(stdout).toContain(`${BINDING}=`);
  },
);

test('a renewal asks for the names of its certificate, SAN and all', () => {
  const san = subjectAltName([{ kind: 'dns', name: 'd.lab' }]);
  const certificate = makeCertificate({ extra: [san] }).der;
  const key = newFileKey('ec-p256');
  const csr = parseCsr(makeCsr(key, { kind: 'current', credential: { key, chain: [certificate] } }));
  expect(compareIdentity(csr, parseCertificate(certificate).tbs)).toEqual([]);
  const other = makeCertificate({ extra: [subjectAltName([{ kind: 'dns', name: 'e.lab' }])] }).der;
  expect(compareIdentity(csr, parseCertificate(other).tbs)).toContain('san-differs');
});
