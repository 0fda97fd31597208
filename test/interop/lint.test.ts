import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { birthmark } from './house.ts';
import { mustRun } from './run-program.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
const openssl = (...words: readonly string[]) => mustRun('openssl', words, { cwd: folder });
const lint = (...words: readonly string[]) => birthmark(['lint', ...words], {}, folder);

/** A certificate of OpenSSL's making, and what our lint must say against it. */
interface Twin {
  readonly subject?: string;
  readonly key?: string;
  readonly endDate?: string;
  readonly digest?: string;
  /** Extensions that replace those of the good one; '' leaves one out. */
  readonly extensions?: Readonly<Record<string, string>>;
  readonly says: readonly string[];
}

const GOOD = {
  subjectKeyIdentifier: 'none',
  authorityKeyIdentifier: 'keyid',
  keyUsage: 'critical,digitalSignature',
  subjectAltName: 'otherName:1.3.6.1.5.5.7.8.4;SEQ:hardware',
  crlDistributionPoints: 'URI:http://pki.lab.example/1.crl',
} as const;
const CONFIG = `[ca]
default_ca = lab
[lab]
database = index.txt
rand_serial = yes
new_certs_dir = new
certificate = ca.pem
private_key = ca.key
policy = any
unique_subject = no
[any]
organizationName = optional
serialNumber = optional
`;
const HARDWARE = `[hardware]
type = OID:1.3.6.1.4.1.99999.1
serial = FORMAT:HEX,OCTETSTRING:534e2d37
[text]
type = OID:1.3.6.1.4.1.99999.1
serial = UTF8:SN-7
`;

/** Each bad one differs from the good one in one field. */
const TWINS: Readonly<Record<string, Twin>> = {
  'a good IDevID': { says: [] },
  'no keyUsage': { extensions: { keyUsage: '' }, says: ['error key-usage.missing'] },
  'keyAgreement instead of digitalSignature': {
    extensions: { keyUsage: 'critical,keyAgreement' },
    says: ['error key-usage.digital-signature', 'warning key-usage.unusual'],
  },
  'keyUsage that is not critical': {
    extensions: { keyUsage: 'digitalSignature' },
    says: ['warning key-usage.not-critical'],
  },
  keyCertSign: {
    extensions: { keyUsage: 'critical,digitalSignature,keyCertSign' },
    says: ['error key-usage.ca-only'],
  },
  'CA:TRUE': {
    extensions: { basicConstraints: 'critical,CA:TRUE' },
    says: ['error basic-constraints.ca'],
  },
  'no authorityKeyIdentifier': {
    extensions: { authorityKeyIdentifier: 'none' },
    says: ['error authority-key-identifier.missing'],
  },
  'no serialNumber in the subject': {
    subject: '/O=Lab',
    says: ['error idevid.subject.serial-number.missing'],
  },
  'a signature over SHA-1': {
    digest: 'sha1',
    says: [
      'error algorithm.weak',
      'notice device.algorithm.suite',
      'notice signature.unchecked',
      'warning algorithm.pairing',
    ],
  },
  'RSA-1024': { key: 'rsa1024', says: ['error key.rsa.too-small', 'notice device.key.suite'] },
  'a key on secp256k1': { key: 'secp256k1', says: ['error key.ec.curve', 'notice device.key.suite'] },
  'a subjectAltName without hardwareModuleName': {
    extensions: { subjectAltName: 'DNS:d.lab.example' },
    says: ['error idevid.subject-alt-name.hardware-module-name'],
  },
  'a hwSerialNum that is text and no OCTET STRING': {
    extensions: { subjectAltName: 'otherName:1.3.6.1.5.5.7.8.4;SEQ:text' },
    says: ['error hardware-module-name.malformed'],
  },
  'the purpose OCSPSigning': {
    extensions: { extendedKeyUsage: 'OCSPSigning' },
    says: ['error device.extended-key-usage.privileged', 'warning idevid.extended-key-usage.present'],
  },
  'the purpose clientAuth': {
    extensions: { extendedKeyUsage: 'clientAuth' },
    says: ['warning idevid.extended-key-usage.present'],
  },
  'a TCG policy that nothing backs': {
    extensions: { certificatePolicies: '2.23.133.11.1.1' },
    says: ['error certificate-policies.not-attested', 'notice device.certificate-policies.tpm-incomplete'],
  },
  'a critical extension that nobody knows': {
    extensions: { '1.3.6.1.4.1.99999.7': 'critical,DER:0500' },
    says: ['error extensions.unknown-critical'],
  },
  'an end': { endDate: '20400101000000Z', says: ['warning idevid.validity.ends'] },
};
const names = Object.keys(TWINS);
const fileOf = (name: string) => `${names.indexOf(name)}.pem`;

beforeAll(async () => {
  mkdirSync(path.join(folder, 'new'));
  writeFileSync(path.join(folder, 'ca.cnf'), CONFIG);
  for (const [name, words] of Object.entries({
    ca: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    other: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    good: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    secp256k1: ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
    rsa1024: ['rsa', '-pkeyopt', 'rsa_keygen_bits:1024'],
  }))
    await openssl('genpkey', '-quiet', '-algorithm', ...words, '-out', `${name}.key`);
  for (const name of ['ca', 'other']) {
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    await openssl(
      'req',
      '-x509',
      '-key',
      `${name}.key`,
      '-subj',
      '/CN=Lab',
      '-days',
      '30000',
      ...usage,
      '-out',
      `${name}.pem`,
    );
  }
  for (const name of names) await mint(name, TWINS[name] ?? { says: [] });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function mint(
  name: string,
  { subject = '/O=Lab/serialNumber=SN-7', key = 'good', ...twin }: Twin,
): Promise<void> {
  const extensions = Object.entries<string>({ ...GOOD, ...twin.extensions }).filter(
    ([, value]) => value !== '',
  );
  const text = extensions.map(([extension, value]) => `${extension} = ${value}\n`).join('');
  writeFileSync(path.join(folder, 'one.ext'), `${text}${HARDWARE}`);
  writeFileSync(path.join(folder, 'index.txt'), '');
  await openssl('req', '-new', '-key', `${key}.key`, '-subj', subject, '-out', 'one.csr');
  await openssl(
    ...[
      'ca',
      '-batch',
      '-notext',
      '-config',
      'ca.cnf',
      '-in',
      'one.csr',
      '-extfile',
      'one.ext',
      '-out',
      fileOf(name),
    ],
    ...['-md', twin.digest ?? 'sha256', '-enddate', twin.endDate ?? '99991231235959Z', '-preserveDN'],
  );
}

describe('certificates of OpenSSL as IDevIDs', () => {
  let found: ReadonlyMap<string, readonly string[]>;
  beforeAll(async () => {
    const done = await lint('--json', '--issuer', 'ca.pem', ...names.map(fileOf));
    expect(done.status).toBe(1);
    found = new Map(done.out.trim().split('\n').map(parseVerdict));
  });

  test.each(names)('%s', (name) => {
    expect([...(found.get(fileOf(name)) ?? ['not judged'])].sort()).toEqual(
      [...(TWINS[name]?.says ?? [])].sort(),
    );
  });
});

describe('birthmark lint', () => {
  const good = fileOf('a good IDevID');

  test('ends with 0 where there is nothing to say, also for DER on standard input', async () => {
    expect(await lint('--issuer', 'ca.pem', good)).toMatchObject({ status: 0, err: '' });
    await openssl('x509', '-in', good, '-outform', 'der', '-out', 'good.der');
    const script = `exec '${process.execPath}' '${path.resolve('bin/birthmark.mjs')}' lint - < good.der`;
    expect(await mustRun('sh', ['-c', script], { cwd: folder })).toBe(
      'nothing to say against it as idevid\n',
    );
  });

  test('names rule and source where a rule is broken, and ends with 1', async () => {
    const done = await lint(fileOf('no keyUsage'));
    expect(done).toEqual({
      status: 1,
      out: expect.stringMatching(/^error {3}key-usage\.missing {2}.*\[RFC 5280 §4\.2\.1\.3;.*\]\n$/),
      err: 'birthmark: the certificate breaks a rule [lint-failed]\n',
    });
  });

  test('lets warnings pass unless it is strict', async () => {
    const warned = fileOf('an end');
    expect(await lint(warned)).toMatchObject({
      status: 0,
      out: expect.stringContaining('warning idevid.validity.ends'),
    });
    expect(await lint('--strict', warned)).toMatchObject({ status: 1 });
  });

  test('tells an issuer of the same name with another key', async () => {
    const done = await lint('--issuer', 'other.pem', good);
    expect(done.status).toBe(1);
    expect(done.out).toContain('authority-key-identifier.mismatch');
    expect(done.out).toContain('signature.invalid');
  });

  test('takes a TCG policy that an attestation backs', async () => {
    const done = await lint('--attested', '2.23.133.11.1.1', fileOf('a TCG policy that nothing backs'));
    expect(done).toMatchObject({ status: 0 });
  });

  test('judges by kind: an IDevID is no server, a CA is no device', async () => {
    expect((await lint('--profile', 'server', good)).out).toContain(
      'error   server.extended-key-usage.server-auth',
    );
    expect((await lint('--profile', 'ca', '--issuer', 'ca.pem', 'ca.pem')).status).toBe(0);
    expect((await lint('--profile', 'ldevid', 'ca.pem')).out).toContain('error   basic-constraints.ca');
  });

  test('says what a file is that is no certificate', async () => {
    for (const file of ['ca.key', 'ca.cnf', 'nowhere.pem']) {
      const done = await lint(file);
      expect(done.status, file).toBe(1);
      expect(`${done.out}${done.err}`, file).toMatch(/certificate|CERTIFICATE|cannot be read/);
    }
  });
});

function parseVerdict(line: string): [string, string[]] {
  const { file, findings } = JSON.parse(line) as {
    readonly file: string;
    readonly findings: readonly { readonly rule: string; readonly severity: string }[];
  };
  return [file, findings.map(({ rule, severity }) => `${severity} ${rule}`)];
}
