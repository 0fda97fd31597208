import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { birthmark, PUBLIC_URL } from './house.ts';
import { type Done, hasProgram, mustRun } from './run-program.ts';
import { useHouse } from './use-house.ts';

/** Every file below a folder with the hash of its content, its mode and when it was last written. */
function picture(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return Object.fromEntries(
    files.map((one) => {
      const file = path.join(one.parentPath, one.name);
      const { mode, mtimeMs } = statSync(file);
      const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
      return [path.relative(folder, file), `${mode.toString(8)} ${mtimeMs} ${hash}`];
    }),
  );
}

describe.each([
  ['ec-p256', 'ecdsa-with-SHA256'],
  ['ec-p384', 'ecdsa-with-SHA384'],
  ['ed25519', 'ED25519'],
])('a fresh home of %s', (algorithm, signature) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
  const home = path.join(folder, 'home');
  const pem = (name: string) => path.join(home, 'pki', `${name}.pem`);
  const openssl = (...words: readonly string[]) => mustRun('openssl', words, { cwd: folder });
  let told: Done;

  beforeAll(async () => {
    const words = ['--algorithm', algorithm, '--organization', 'Lab', '--public-url', PUBLIC_URL];
    told = await birthmark(['init', '--home', home, ...words]);
    await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'leaf.key');
    await openssl('req', '-new', '-key', 'leaf.key', '-subj', '/CN=ignored', '-out', 'leaf.csr');
    const issued = await birthmark(
      [
        'issue',
        '--home',
        home,
        '--profile',
        'server',
        '--dns',
        'b.lab.example',
        '--csr',
        'leaf.csr',
        '--out',
        'leaf.pem',
      ],
      {},
      folder,
    );
    expect(issued).toMatchObject({ status: 0 });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('shows the fingerprint of its root as OpenSSL computes it, and says where the passphrase lies', async () => {
    expect(told.status).toBe(0);
    const printed = await openssl('x509', '-in', pem('root'), '-noout', '-fingerprint', '-sha256');
    expect(told.out).toContain(printed.trim().split('=')[1]);
    expect(told.err).toContain(`${home}/keys/passphrase (mode 0600)`);
    // The public URL is no loopback address: nothing to warn of.
    expect(told.err).not.toContain('warning');
  });

  test.each([
    ['root', 'CA:TRUE, pathlen:1', 'root'],
    ['idevid', 'CA:TRUE, pathlen:0', 'root'],
    ['ldevid', 'CA:TRUE, pathlen:0', 'root'],
    ['service', 'CA:TRUE, pathlen:0', 'root'],
  ])('OpenSSL reads in the certificate of %s what a CA must say', async (name, constraints, issuer) => {
    const text = await openssl(
      'x509',
      '-in',
      pem(name),
      '-noout',
      '-text',
      '-certopt',
      'no_pubkey,no_sigdump',
    );
    const plain = text.replace(/ +/g, ' ').replace(/ $/gm, '');
    expect(plain).toContain(`Signature Algorithm: ${signature}\n`);
    expect(plain).toContain(`X509v3 Basic Constraints: critical\n ${constraints}\n`);
    expect(plain).toContain('X509v3 Key Usage: critical\n Certificate Sign, CRL Sign\n');
    expect(plain).toContain(
      `X509v3 CRL Distribution Points:\n Full Name:\n URI:${PUBLIC_URL}/crl/${issuer}.crl\n`,
    );
    expect(plain).toContain(`CA Issuers - URI:${PUBLIC_URL}/ca/${issuer}.cer\n`);
    expect(plain).toContain(`OCSP - URI:${PUBLIC_URL}/ocsp\n`);
    const keyId = async (of: string, extension: string) => {
      const words = ['x509', '-in', pem(of), '-noout', '-ext', extension];
      return /(?:[0-9A-F]{2}:){19}[0-9A-F]{2}/.exec(await openssl(...words))?.[0];
    };
    expect(await keyId(name, 'subjectKeyIdentifier')).toBeDefined();
    expect(await keyId(name, 'authorityKeyIdentifier')).toBe(await keyId(issuer, 'subjectKeyIdentifier'));
  });

  test('OpenSSL verifies its chains strictly, and refuses one whose middle is missing', async () => {
    const strict = ['verify', '-x509_strict', '-CAfile', pem('root')];
    for (const name of ['idevid', 'ldevid', 'service'])
      expect(await openssl(...strict, pem(name))).toContain(': OK');
    expect(
      await openssl(...strict, '-untrusted', pem('service'), '-purpose', 'sslserver', 'leaf.pem'),
    ).toContain(': OK');
    await expect(openssl(...strict, '-untrusted', pem('ldevid'), 'leaf.pem')).rejects.toThrow(
      'unable to get local issuer',
    );
  });

  test.skipIf(!hasProgram('certtool'))('certtool verifies its chains', async () => {
    const words = [
      '--verify',
      '--load-ca-certificate',
      pem('root'),
      '--verify-profile',
      'medium',
      '--infile',
    ];
    const chain = `${readFileSync(path.join(folder, 'leaf.pem'), 'utf8')}${readFileSync(pem('service'), 'utf8')}`;
    const out = await mustRun('certtool', ['--verify', '--load-ca-certificate', pem('root')], {
      input: chain,
    });
    expect(out).toMatch(/Chain verification output: Verified\. The certificate is trusted/);
    expect(await mustRun('certtool', [...words, pem('idevid')])).toContain('The certificate is trusted');
  });

  test.skipIf(!hasProgram('pki'))('strongSwan verifies its chains', async () => {
    const words = [
      '--verify',
      '--in',
      path.join(folder, 'leaf.pem'),
      '--cacert',
      pem('service'),
      '--cacert',
      pem('root'),
    ];
    expect(await mustRun('pki', words)).toContain('certificate trusted');
  });
});

describe('a home that is there', () => {
  const house = useHouse();

  test('is not changed by another init, which says so; the first one warns where certificates would name loopback', async () => {
    // A served home is held by its server; one at rest is looked at.
    const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
    try {
      const home = path.join(folder, 'home');
      const first = await birthmark(['init', '--home', home]);
      expect(first.status).toBe(0);
      expect(first.err).toContain('warning: certificates will name http://127.0.0.1:8080');
      const before = picture(home);
      const again = await birthmark([
        'init',
        '--home',
        home,
        '--algorithm',
        'ec-p384',
        '--public-url',
        PUBLIC_URL,
      ]);
      expect(again.status).toBe(0);
      expect(again.out).toContain('already; nothing was changed');
      expect(picture(home)).toEqual(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('is served once only: a second serve refuses, and the first one goes on', async () => {
    const second = await house().birthmark('serve', '--public-port', '0', '--tls-port', '0');
    expect(second.status).toBe(1);
    expect(second.err).toMatch(/^birthmark: .*\[home-in-use\]\n$/);
    expect((await house().curl(`${house().publicUrl}/readyz`)).status).toBe(200);
  });
});
