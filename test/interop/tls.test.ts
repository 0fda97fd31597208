// How the TLS listeners speak, as OpenSSL and GnuTLS find it out.
import { X509Certificate } from 'node:crypto';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasProgram, mustRun, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse({
  configure: (toml) => toml.replace(/^#constrainedPort = .*/m, 'constrainedPort = 0'),
});
type Door = 'tls' | 'constrained';
const at = (door: Door) => new URL(JSON.parse(house().read('ready.json'))[door]).host;

/** One handshake by OpenSSL; gives what was agreed on, or 'refused'. */
async function agree(door: Door, ...words: readonly string[]): Promise<string> {
  const { status, out } = await sClient(door, '', ...words);
  const [, version, cipher] = /^New, (TLSv[\d.]+), Cipher is (\S+)/m.exec(out) ?? [];
  return status === 0 && version !== undefined ? `${version} ${cipher}` : 'refused';
}

function sClient(door: Door, input: string, ...words: readonly string[]) {
  const all = ['s_client', '-connect', at(door), '-CAfile', house().pem('root'), ...words];
  return runProgram('openssl', all, { cwd: house().folder, input });
}

/** Of every suite that OpenSSL knows, those that a listener agrees to. */
async function suitesOf(door: Door): Promise<readonly string[]> {
  const everything = 'ALL:COMPLEMENTOFALL:@SECLEVEL=0';
  const [older, newer] = await Promise.all(
    ['-tls1_2', '-tls1_3'].map(async (version) =>
      (await house().program('openssl', 'ciphers', '-s', version, everything)).trim().split(':'),
    ),
  );
  const agreed: string[] = [];
  for (const cipher of older ?? []) {
    const words = ['-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`, '-psk', '00'];
    if ((await agree(door, ...words)) !== 'refused') agreed.push(cipher);
  }
  const CCM = ['TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256'];
  for (const cipher of new Set([...(newer ?? []), ...CCM])) {
    const words = ['-tls1_3', '-ciphersuites', cipher, '-cipher', 'ALL:@SECLEVEL=0'];
    if ((await agree(door, ...words)) !== 'refused') agreed.push(cipher);
  }
  return agreed.sort();
}

/** Whether a session of TLS 1.2 is resumed, each time that it is tried. */
async function resumptions(url: string, folder: string, times: number): Promise<readonly string[]> {
  const words = ['s_client', '-connect', new URL(url).host, '-tls1_2'];
  const run = (...more: readonly string[]) =>
    runProgram('openssl', [...words, ...more], { cwd: folder, input: '' });
  await run('-sess_out', 'session');
  const found: string[] = [];
  for (let time = 0; time < times; time += 1) {
    const { out } = await run('-sess_in', 'session');
    found.push(/^(New|Reused), TLS/m.exec(out)?.[1] ?? 'refused');
  }
  return found;
}

const REQUEST = 'GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

describe('the TLS listener', () => {
  test('agrees to ECDHE with an AEAD, and to no other suite that OpenSSL knows', async () => {
    expect(await suitesOf('tls')).toEqual([
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384',
      'ECDHE-ECDSA-CHACHA20-POLY1305',
      'TLS_AES_128_GCM_SHA256',
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
    ]);
  });

  test('takes its own order before the client’s', async () => {
    const backwards =
      'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
    expect(await agree('tls', '-tls1_2', '-cipher', backwards)).toBe('TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256');
  });

  test.each([
    ['-tls1_2', true],
    ['-tls1_3', true],
    ['-tls1_1', false],
    ['-tls1', false],
  ])('speaks %s: %s', async (version, speaks) => {
    expect((await agree('tls', version, '-cipher', 'ALL:@SECLEVEL=0')) !== 'refused').toBe(speaks);
  });

  test.each([
    ['X25519', true],
    ['P-256', true],
    ['P-384', true],
    ['P-521', false],
    ['X448', false],
    ['ffdhe2048', false],
  ])('takes the group %s: %s', async (group, takes) => {
    expect((await agree('tls', '-tls1_3', '-groups', group)) !== 'refused').toBe(takes);
  });

  test('sends leaf and intermediate, without the root, which verify under the root', async () => {
    const { out } = await sClient(
      'tls',
      '',
      '-showcerts',
      '-verify_return_error',
      '-servername',
      'localhost',
    );
    const sent = out.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const [leaf, intermediate, ...more] = sent.map((pem) => new X509Certificate(pem));
    expect(more).toEqual([]);
    expect([leaf?.checkHost('localhost'), intermediate?.ca]).toEqual(['localhost', true]);
    expect(intermediate?.subject).not.toBe(intermediate?.issuer);
    expect(out).toContain('Verify return code: 0 (ok)');
  });

  test('asks for a certificate and names no authority', async () => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const { out } = await sClient('tls', '', version);
      expect(out).toContain('No client certificate CA names sent');
      expect(out).toMatch(/^Requested Signature Algorithms: /m);
    }
  });

  test('does not renegotiate', async () => {
    const { out, err } = await sClient('tls', 'R\n', '-tls1_2');
    expect(out + err).toMatch(/RENEGOTIATING[\s\S]*no renegotiation/);
  });
});

describe('a session', () => {
  test('is resumed by the process that saw its handshake', async () => {
    expect(await resumptions(house().tlsUrl, house().folder, 3)).toEqual(['Reused', 'Reused', 'Reused']);
  });

  const two = useHouse({ serve: ['--workers', '2'] });
  test('is resumed by no other worker, which never saw what came with the certificate', async () => {
    expect(new Set(await resumptions(two().tlsUrl, two().folder, 6))).toEqual(new Set(['New', 'Reused']));
  });
});

describe("a user's RSA certificate", () => {
  const other = useHouse({
    configure: (toml) => toml.replace(/^#(tls(?:Certificate|Key)File) = .*/gm, '$1 = "../$1.pem"'),
    before: async (folder) => {
      const names = ['-subj', '/CN=own', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      const files = ['-keyout', 'tlsKeyFile.pem', '-out', 'tlsCertificateFile.pem'];
      await mustRun('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...names, ...files], {
        cwd: folder,
      });
      chmodSync(path.join(folder, 'tlsKeyFile.pem'), 0o600);
    },
  });

  test('is shown, and opens no way to static RSA or CBC', async () => {
    const try_ = async (cipher: string) => {
      const words = ['-connect', new URL(other().tlsUrl).host, '-CAfile', 'tlsCertificateFile.pem'];
      const { out, status } = await runProgram(
        'openssl',
        ['s_client', ...words, '-verify_return_error', '-tls1_2', '-cipher', `${cipher}:@SECLEVEL=0`],
        { cwd: other().folder, input: '' },
      );
      return status === 0 && out.includes('Verify return code: 0 (ok)');
    };
    expect(await try_('ECDHE-RSA-AES128-GCM-SHA256')).toBe(true);
    for (const cipher of [
      'kRSA',
      'AES128-GCM-SHA256',
      'ECDHE-RSA-AES128-SHA256',
      'ECDHE-RSA-AES128-SHA',
      'DHE',
    ])
      expect(await try_(cipher), cipher).toBe(false);
  });
});

describe('the listener for constrained devices', () => {
  test('agrees to AES-CCM-8, AES-CCM and AES-GCM with 128 bits, and to no other suite that OpenSSL knows', async () => {
    expect(await suitesOf('constrained')).toEqual([
      'ECDHE-ECDSA-AES128-CCM',
      'ECDHE-ECDSA-AES128-CCM8',
      'ECDHE-ECDSA-AES128-GCM-SHA256',
      'TLS_AES_128_CCM_8_SHA256',
      'TLS_AES_128_CCM_SHA256',
      'TLS_AES_128_GCM_SHA256',
    ]);
  });

  test.each([
    ['P-256', true],
    ['X25519', false],
    ['P-384', false],
  ])('takes the group %s: %s', async (group, takes) => {
    for (const version of ['-tls1_2', '-tls1_3'])
      expect((await agree('constrained', version, '-groups', group)) !== 'refused').toBe(takes);
  });

  test.each([
    ['TLS 1.2', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0']],
    ['TLS 1.3', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_8_SHA256', '-cipher', 'ALL:@SECLEVEL=0']],
  ])(
    'answers in records of 512 octets, the handshake too where it is asked for, on %s',
    async (_title, words) => {
      const asked = await sClient('constrained', REQUEST, '-ign_eof', '-msg', '-maxfraglen', '512', ...words);
      expect(asked.out).toMatch(/HTTP\/1\.1 200 OK/);
      // 512 octets, the explicit nonce of TLS 1.2, the tag and the inner type of TLS 1.3.
      expect(Math.max(...recordsOf(asked.out))).toBeLessThanOrEqual(512 + 24);
      const unasked = await sClient('constrained', REQUEST, '-ign_eof', '-msg', ...words);
      const after = unasked.out.slice(unasked.out.indexOf('HTTP/1.1 200 OK'));
      expect(Math.max(...recordsOf(after))).toBeLessThanOrEqual(512 + 24);
      const large = await sClient('tls', REQUEST, '-ign_eof', '-msg');
      expect(Math.max(...recordsOf(large.out))).toBeGreaterThan(2048);
    },
  );

  test('refuses SHA-1 in the handshake, though its security level would take it', async () => {
    const words = ['-tls1_2', '-cipher', 'ALL:@SECLEVEL=0', '-sigalgs'];
    expect(await agree('constrained', ...words, 'ECDSA+SHA1')).toBe('refused');
    expect(await agree('constrained', ...words, 'ECDSA+SHA256')).not.toBe('refused');
  });

  // gnutls-cli ends its side with its input, long before the end of a long answer.
  test.skipIf(!hasProgram('gnutls-cli'))('GnuTLS with AES-128-CCM-8 is answered in full', async () => {
    const [host = '', port = ''] = at('constrained').split(':');
    for (const version of ['1.2', '1.3']) {
      const priority = `NORMAL:-VERS-ALL:+VERS-TLS${version}:-CIPHER-ALL:+AES-128-CCM-8:-GROUP-ALL:+GROUP-SECP256R1`;
      const trust = ['--x509cafile', house().pem('root'), '--priority', priority, '--port', port, host];
      const { out, status } = await runProgram('gnutls-cli', trust, { input: REQUEST });
      expect([status, /HTTP\/1\.1 200 OK/.test(out)], out).toEqual([0, true]);
      expect(out).toMatch(/"paths":[\s\S]*\}\s*(- Peer has closed|$)/);
    }
  });
});

/** Lengths of the records that came, from their headers. */
function recordsOf(text: string): number[] {
  const headers = text.matchAll(
    /^<<< .*(?:RecordHeader|Record Header).*\n\s+((?:[0-9a-f]{2} ){4}[0-9a-f]{2})/gm,
  );
  return [...headers].map(([, octets = '']) => Number.parseInt(octets.slice(-5).replace(' ', ''), 16));
}
