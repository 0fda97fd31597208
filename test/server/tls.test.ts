import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { createKeyFile } from '../../src/keys/file-signer.ts';
import { listen, listenLocally } from '../../src/server/listeners.ts';
import {
  ownTlsIdentity,
  readTlsContext,
  renewTlsCertificate,
  type TlsCertificateOptions,
} from '../../src/server/tls-certificate.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { toPem } from '../../src/x509/pem.ts';
import { codeOfAsync, DAY_MS, newCsr, newKey } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { type SampleKey, sampleTbs, signed } from '../x509/samples.ts';
import { shareTestServer, startTestServer, type TestServer } from './test-server.ts';

const PASSPHRASE = 'sixteen letters!';

function tlsOptions(
  { house }: TestServer,
  folder: string,
  names = ['localhost', '127.0.0.1'],
): TlsCertificateOptions {
  return {
    keyPath: join(folder, 'tls.key'),
    certificatePath: join(folder, 'tls.pem'),
    passphrase: PASSPHRASE,
    names,
    reads: house.ledger.read,
    issuing: house.issuing,
    issueService: house.issueService,
    clock: house.clock.now,
  };
}

describe("the listener's own certificate", () => {
  test("is made once, for its names, and is the key's", async () => {
    await using server = await startTestServer();
    const options = tlsOptions(server, temporaryFolder());
    expect(await renewTlsCertificate(options)).toBe(true);
    expect(await renewTlsCertificate(options)).toBe(false);
    const { cert, key } = readTlsContext(options);
    const leaf = new X509Certificate(String(cert));
    expect([leaf.checkHost('localhost'), leaf.checkIP('127.0.0.1'), leaf.checkHost('other')]).toEqual([
      'localhost',
      '127.0.0.1',
      undefined,
    ]);
    expect(String(cert).match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(String(key)).toContain('BEGIN PRIVATE KEY');
    expect(statSync(options.keyPath).mode & 0o777).toBe(0o600);
  });

  test.each<[string, (server: TestServer, options: TlsCertificateOptions) => void, boolean, string[]?]>([
    ['is made again for another name', () => undefined, true, ['localhost', 'pki.example']],
    ['stays for fewer names', () => undefined, false, ['localhost']],
    ['stays until two thirds of its life are over', ({ house }) => house.clock.pass(59 * DAY_MS), false],
    ['is made again after two thirds of its life', ({ house }) => house.clock.pass(61 * DAY_MS), true],
    ['is made again where it is gone', (_server, { certificatePath }) => rmSync(certificatePath), true],
    [
      'is made again where it is damaged',
      (_server, { certificatePath }) => writeFileSync(certificatePath, 'x'),
      true,
    ],
    ['is made again where its key is gone', (_server, { keyPath }) => rmSync(keyPath), true],
  ])('%s', async (_title, change, again, names) => {
    await using server = await startTestServer();
    const options = tlsOptions(server, temporaryFolder());
    await renewTlsCertificate(options);
    change(server, options);
    expect(await renewTlsCertificate(names ? { ...options, names } : options)).toBe(again);
    expect(await renewTlsCertificate(names ? { ...options, names } : options)).toBe(false);
  });

  test.each([
    ['revoke', 'superseded', 'keeps its key'],
    ['hold', undefined, 'keeps its key'],
    ['revoke', 'keyCompromise', 'gets another key'],
  ] as const)('is made again after a %s for %s, and %s', async (act, reason, outcome) => {
    await using server = await startTestServer();
    const options = tlsOptions(server, temporaryFolder());
    await renewTlsCertificate(options);
    const [leaf, key] = [leafOf(options), createdKey(options)];
    const by = { kind: 'serial', serial: parseCertificate(leaf.raw).tbs.serial } as const;
    await server.house.revoker({ act, by, ...(reason && { reason }) }, 'operator:test');
    expect(await renewTlsCertificate(options)).toBe(true);
    expect(await renewTlsCertificate(options)).toBe(false);
    expect(leafOf(options).serialNumber).not.toBe(leaf.serialNumber);
    expect(leafOf(options).checkPrivateKey(createdKey(options))).toBe(true);
    expect(createdKey(options).equals(key)).toBe(outcome === 'keeps its key');
    expect(statSync(options.keyPath).mode & 0o777).toBe(0o600);
  });

  test("is made again where somebody put another pair's key there", async () => {
    await using server = await startTestServer();
    const options = tlsOptions(server, temporaryFolder());
    await renewTlsCertificate(options);
    rmSync(options.keyPath);
    createKeyFile(options.keyPath, 'ec-p256', PASSPHRASE);
    expect(await renewTlsCertificate(options)).toBe(true);
    expect(
      new X509Certificate(String(readTlsContext(options).cert)).checkPrivateKey(createdKey(options)),
    ).toBe(true);
  });
});

function leafOf(options: TlsCertificateOptions): X509Certificate {
  return new X509Certificate(String(readTlsContext(options).cert));
}

function createdKey(options: TlsCertificateOptions) {
  const { key } = readTlsContext(options);
  return createPrivateKey(String(key));
}

describe('signing in with a certificate', async () => {
  const server = await shareTestServer();
  const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
  const options = tlsOptions(server, folder);
  await renewTlsCertificate(options);
  const listeners = await listen({
    api: server.options,
    authorities: server.house.authorities,
    ocsp: server.house.ocsp,
    tls: ownTlsIdentity(options),
    at: { publicHost: '127.0.0.1', publicPort: 0, tlsHost: '127.0.0.1', tlsPort: 0 },
  });
  afterAll(async () => {
    await listeners.close();
    rmSync(folder, { recursive: true, force: true });
  });
  /** Asks who may see the audit, with a certificate and its key; gives the status. */
  function ask(key?: SampleKey, certificate?: Uint8Array, headers = {}): Promise<number> {
    const agent = new Agent({
      // The house's time is not that of this machine, by which the client would judge the server.
      rejectUnauthorized: false,
      ...(key && certificate
        ? {
            key: String(key.privateKey.export({ type: 'pkcs8', format: 'pem' })),
            cert: toPem('CERTIFICATE', certificate),
          }
        : {}),
    });
    return new Promise((resolve, reject) => {
      const sent = request(`${listeners.addresses.tls}/api/v1/audit`, { agent, headers }, (response) => {
        response.resume();
        response.on('end', () => {
          agent.destroy();
          resolve(response.statusCode ?? 0);
        });
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  async function operator(role: 'auditor' | 'operator', profile = 'operator') {
    const key = newKey();
    const issued = await server.house.issueService(
      {
        profile: server.house.issuing.profile(profile),
        csr: newCsr(key),
        name: `${profile}-${role}-${Math.random().toString(36).slice(2)}`,
        dns: profile === 'server' ? ['a.example'] : [],
        ip: [],
        role,
      },
      'local',
    );
    return { key, certificate: issued.certificate, serial: issued.serial };
  }

  test('works for a registered operator, as its role', async () => {
    const auditor = await operator('auditor');
    expect(await ask(auditor.key, auditor.certificate)).toBe(200);
    const other = await operator('operator');
    expect(await ask(other.key, other.certificate)).toBe(403);
  });

  test('does not work without one, though the handshake does', async () => {
    expect(await ask()).toBe(401);
  });

  test("does not work with a server's or a device's certificate of the same root", async () => {
    const host = await operator('auditor', 'server');
    expect(await ask(host.key, host.certificate)).toBe(401);
    const key = newKey();
    const { certificate } = await server.house.grant('SN-1', { key });
    expect(await ask(key, certificate)).toBe(401);
  });

  test("does not work with a stranger's certificate that has an operator's serial number and names", async () => {
    const { certificate } = await operator('auditor');
    const { tbs } = parseCertificate(certificate);
    const key = newKey();
    const forged = signed(
      key,
      sampleTbs('operator', key, key, { serial: tbs.serial, issuer: tbs.issuer, subject: tbs.subject }),
    );
    expect(await ask(key, forged)).toBe(401);
  });

  test('does not work after the certificate has ended', async () => {
    const { key, certificate } = await operator('auditor');
    server.house.clock.pass(365 * DAY_MS + 60_000);
    expect(await ask(key, certificate)).toBe(401);
    server.house.clock.pass(-365 * DAY_MS - 60_000);
  });

  test('does not make up for a token that is wrong', async () => {
    const { key, certificate } = await operator('auditor');
    expect(await ask(key, certificate, { authorization: 'Bearer bmk_wrong' })).toBe(401);
  });
});

describe('a listener that cannot open', () => {
  test('says which one and why, and leaves none open', async () => {
    await using server = await startTestServer();
    const options = tlsOptions(server, temporaryFolder());
    await renewTlsCertificate(options);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const opening = listen({
      api: server.options,
      authorities: server.house.authorities,
      ocsp: server.house.ocsp,
      tls: ownTlsIdentity(options),
      at: { publicHost: '127.0.0.1', publicPort: 0, tlsHost: '127.0.0.1', tlsPort: port },
    });
    await expect(opening).rejects.toMatchObject({
      code: 'listen-failed',
      message: expect.stringContaining(`tls listener cannot open 127.0.0.1:${port}`),
    });
  });

  test('on a Unix socket is told when the path is too long', async () => {
    await using server = await startTestServer();
    expect(await codeOfAsync(listenLocally(server.options, `/tmp/${'a'.repeat(110)}`))).toBe('listen-failed');
  });

  test('on a Unix socket takes the place of one that a killed process left, for its owner only', async () => {
    await using server = await startTestServer();
    const path = join(temporaryFolder(), 's');
    writeFileSync(path, '');
    const local = await listenLocally(server.options, path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(path).isSocket()).toBe(true);
    await local.close();
  });
});
