import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CSR_MAKERS, KEY_KINDS } from './csr-makers.ts';
import { PUBLIC_URL } from './house.ts';
import { hasProgram, mustRun, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const HW_TYPE = '1.3.6.1.4.1.99999.1';
const cases = CSR_MAKERS.flatMap(([program, make]) =>
  KEY_KINDS.map((kind, at) => ({
    program,
    make,
    kind,
    name: `${program}-${kind}`,
    hw: `${program[0]}-00${at}`,
  })),
);

const house = useHouse();
const there = cases.filter(({ program }) => hasProgram(program));
/** The answers of the batch, in order. */
let answers: readonly Answer[] = [];

interface Answer {
  readonly serialNumber: string;
  readonly serial: string;
  readonly certificate: string;
  readonly notGranted?: readonly string[];
}

beforeAll(async () => {
  const { folder, write, must, tlsUrl, pem } = house();
  const csrs = await Promise.all(there.map(({ make, name, kind }) => make(folder, name, kind, `SN-${name}`)));
  const lines = there.map(({ name, hw }, at) => {
    write(`${name}.csr`, csrs[at] ?? '');
    const hwSerialNum = Buffer.from(hw).toString('base64');
    return JSON.stringify({ serialNumber: `SN-${name}`, csr: csrs[at], hwType: HW_TYPE, hwSerialNum });
  });
  await house().tokenFile('line', '--role', 'factory', '--profile', 'idevid');
  write('devices.ndjson', `${lines.join('\n')}\n`);
  const from = ['--url', tlsUrl, '--token-file', 'line.token', '--ca', pem('root')];
  const files = ['--in', 'devices.ndjson', '--out', 'certificates.ndjson'];
  const summary = await must('factory', 'enroll', ...from, ...files, '--json');
  expect(JSON.parse(summary)).toMatchObject({ granted: there.length, refused: 0, before: 0 });
  answers = house().read('certificates.ndjson').trimEnd().split('\n').map(parseAnswer);
  for (const [at, { name }] of there.entries()) write(`${name}.pem`, answers[at]?.certificate ?? '');
});

for (const { program, name, kind, hw } of cases) {
  describe.skipIf(!hasProgram(program))(`the certificate for a CSR of ${kind} by ${program}`, () =>
    judge(program, name, hw),
  );
}

function judge(program: string, name: string, hw: string): void {
  const openssl = (...words: readonly string[]) => house().program('openssl', ...words);
  const der = () =>
    Buffer.from(answerFor(name).certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64').toString('hex');

  test('chains to our root for OpenSSL, strictly', async () => {
    const { pem } = house();
    const words = ['verify', '-x509_strict', '-purpose', 'any', '-CAfile', pem('root')];
    expect(await openssl(...words, '-untrusted', pem('idevid'), `${name}.pem`)).toBe(`${name}.pem: OK\n`);
    await expect(openssl(...words, '-untrusted', pem('ldevid'), `${name}.pem`)).rejects.toThrow(
      'unable to get local issuer',
    );
  });

  test.skipIf(!hasProgram('certtool'))('chains to our root for certtool', async () => {
    const { pem, folder } = house();
    const chain = (ca: string) => house().read(`${name}.pem`) + house().read(pem(ca));
    const verify = (ca: string) =>
      runProgram('certtool', ['--verify', '--load-ca-certificate', pem('root')], {
        cwd: folder,
        input: chain(ca),
      });
    expect(await verify('idevid')).toMatchObject({ status: 0 });
    expect(await verify('ldevid')).toMatchObject({ status: 1 });
  });

  test.skipIf(!hasProgram('pki'))('chains to our root for strongSwan', async () => {
    const { pem, folder } = house();
    const words = ['--verify', '--in', path.join(folder, `${name}.pem`), '--cacert', pem('root')];
    expect(await mustRun('pki', [...words, '--cacert', pem('idevid')])).toContain('certificate trusted');
    expect(await runProgram('pki', [...words, '--cacert', pem('ldevid')])).not.toMatchObject({ status: 0 });
  });

  test('has the key of the CSR', async () => {
    const certified = await openssl('x509', '-in', `${name}.pem`, '-noout', '-pubkey');
    expect(certified).toBe(await openssl('req', '-in', `${name}.csr`, '-noout', '-pubkey'));
  });

  test('names the device and no more, to the octet', () => {
    const serialNumber = Buffer.from(`SN-${name}`);
    const length = serialNumber.length.toString(16).padStart(2, '0');
    // AttributeType serialNumber, PrintableString.
    expect(der()).toContain(`060355040513${length}${serialNumber.toString('hex')}`);
    // GeneralizedTime 99991231235959Z.
    expect(der()).toContain('180f39393939313233313233353935395a');
    // subjectAltName, not critical: otherName of id-on-hardwareModuleName with hwType and hwSerialNum (RFC 4108 §5).
    const hwSerialNum = Buffer.from(hw).toString('hex');
    expect(der()).toContain(
      `0603551d1104243022a02006082b06010505070804a014301206092b06010401868d1f010405${hwSerialNum}`,
    );
    expect(der()).not.toContain(Buffer.from('Elsewhere').toString('hex'));
  });

  test('says what its CSR asked for and did not get', () => {
    const told = answerFor(name).notGranted?.join('; ');
    expect(told).toMatch(/\bO\b|subject|name/i);
    if (program === 'certtool') expect(told).toMatch(/subjectAltName/);
  });

  test('is not revoked by the lists that it and its authority name, and cannot be checked against another shard', async () => {
    const { pem, published } = house();
    const points = await openssl('x509', '-in', `${name}.pem`, '-noout', '-ext', 'crlDistributionPoints');
    const [, url = '', shard] = /URI:(.*\/crl\/idevid\/([0-9]+)\.crl)/.exec(points) ?? [];
    expect(url).toMatch(new RegExp(`^${PUBLIC_URL}/crl/`));
    const other = url.replace(`/${shard}.crl`, `/${shard === '0' ? 1 : 0}.crl`);
    const lists = {
      own: url,
      other,
      full: `${PUBLIC_URL}/crl/idevid.crl`,
      root: `${PUBLIC_URL}/crl/root.crl`,
    };
    for (const [list, at] of Object.entries(lists)) {
      await house().program('curl', '-sSf', '--noproxy', '*', '-o', `${name}.${list}.crl`, published(at));
    }
    const check = (list: string) =>
      openssl(
        ...['verify', '-x509_strict', '-CAfile', pem('root'), '-untrusted', pem('idevid'), '-extended_crl'],
        ...[
          '-crl_check_all',
          '-CRLfile',
          `${name}.root.crl`,
          '-CRLfile',
          `${name}.${list}.crl`,
          `${name}.pem`,
        ],
      );
    expect(await check('own')).toBe(`${name}.pem: OK\n`);
    expect(await check('full')).toBe(`${name}.pem: OK\n`);
    await expect(check('other')).rejects.toThrow('different CRL scope');
  });
}

test('every serial number of the batch is another one', () => {
  expect(new Set(answers.map(({ serial }) => serial)).size).toBe(there.length);
});

function answerFor(name: string): Answer {
  const answer = answers.find(({ serialNumber }) => serialNumber === `SN-${name}`);
  if (!answer) throw new Error(`the batch has no answer for ${name}`);
  return answer;
}

function parseAnswer(line: string): Answer {
  return JSON.parse(line) as Answer;
}
