import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { opensslCsr } from './csr-makers.ts';
import { freePort } from './free-port.ts';
import { hasProgram, runProgram } from './run-program.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();

describe('a server certificate of ours in somebody else’s TLS server (openssl s_server)', () => {
  let server: ChildProcess | undefined;
  let port = 0;

  beforeAll(async () => {
    const { folder, write, must } = house();
    write('broker.csr', await opensslCsr(folder, 'broker', 'P-256', 'ignored'));
    const names = ['--dns', 'broker.lab.example', '--dns', '*.things.lab.example', '--ip', '127.0.0.1'];
    await must(
      'issue',
      '--profile',
      'server',
      ...names,
      '--csr',
      'broker.csr',
      '--out',
      'broker.pem',
      '--chain',
    );
    port = await freePort();
    const words = [
      '-accept',
      `127.0.0.1:${port}`,
      '-cert',
      'broker.pem',
      '-cert_chain',
      'broker.pem',
      '-www',
      '-quiet',
    ];
    server = spawn('openssl', ['s_server', '-key', 'broker.key', ...words], { cwd: folder, stdio: 'ignore' });
    for (let tries = 0; tries < 100 && (await curl('broker.lab.example')).status === 7; tries += 1)
      await sleep(50);
  });
  afterAll(async () => {
    if (!server) return;
    const gone = once(server, 'exit');
    server.kill();
    await gone;
  });

  /** curl to the server under a name; 0 is a page, 7 nobody there, 60 a certificate that it does not take. */
  const curl = (name: string, root = 'root') => {
    const at = ['--resolve', `${name}:${port}:127.0.0.1`, `https://${name}:${port}/`];
    return runProgram('curl', [
      '-sS',
      '--noproxy',
      '*',
      '-o',
      '/dev/null',
      '--cacert',
      house().pem(root),
      ...at,
    ]);
  };
  const gnutls = (name: string, root = 'root') =>
    runProgram(
      'gnutls-cli',
      ['--x509cafile', house().pem(root), '--port', String(port), '--verify-hostname', name, '127.0.0.1'],
      { input: '' },
    );

  test('curl takes it by its names and address', async () => {
    for (const name of ['broker.lab.example', 'pump-7.things.lab.example', '127.0.0.1'])
      expect(await curl(name), name).toMatchObject({ status: 0 });
  });

  test('curl refuses it by another name, and without our root', async () => {
    for (const name of ['other.lab.example', 'things.lab.example', 'a.b.things.lab.example'])
      expect(await curl(name), name).toMatchObject({ status: 60 });
    expect(await curl('broker.lab.example', 'ldevid')).toMatchObject({ status: 60 });
  });

  test.skipIf(!hasProgram('gnutls-cli'))(
    'GnuTLS takes it by its name, and refuses another name and another root',
    async () => {
      expect(await gnutls('broker.lab.example')).toMatchObject({ status: 0 });
      expect(await gnutls('other.lab.example')).toMatchObject({ status: 1 });
      expect(await gnutls('broker.lab.example', 'ldevid')).toMatchObject({ status: 1 });
    },
  );
});

describe('a server certificate', () => {
  test('needs a name', async () => {
    const { folder, write, birthmark } = house();
    write('nameless.csr', await opensslCsr(folder, 'nameless', 'P-256', 'x'));
    const refused = await birthmark('issue', '--profile', 'server', '--csr', 'nameless.csr');
    expect(refused).toMatchObject({ status: 1, out: '' });
    expect(refused.err).toMatch(
      /^birthmark: a server certificate needs a DNS name or an IP address.*\[name-invalid\]\n$/,
    );
  });

  test('is printed where no --out is given, and its key cannot become a device’s', async () => {
    const { folder, write, birthmark } = house();
    write('printed.csr', await opensslCsr(folder, 'printed', 'P-256', 'SN-1'));
    const printed = await birthmark(
      'issue',
      '--profile',
      'server',
      '--dns',
      'p.lab.example',
      '--csr',
      'printed.csr',
    );
    expect(printed.out).toMatch(
      /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n$/,
    );
    expect(printed.err).toContain('not granted: subject O=Elsewhere');
    const device = await birthmark(
      'issue',
      '--profile',
      'ldevid',
      '--serial-number',
      'SN-1',
      '--csr',
      'printed.csr',
    );
    expect(device.err).toContain('[key-in-use]');
  });

  test('of the TLS listener has the names that init was given', async () => {
    const file = path.join(house().home, 'pki', 'tls-listener.pem');
    const text = await house().program('openssl', 'x509', '-in', file, '-noout', '-ext', 'subjectAltName');
    expect(text).toContain('DNS:localhost, IP Address:127.0.0.1');
  });
});
