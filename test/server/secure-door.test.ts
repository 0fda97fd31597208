import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import { givenTlsIdentity, readGivenCertificate } from '../../src/server/given-certificate.ts';
import { listen } from '../../src/server/listeners.ts';
import {
  ownTlsIdentity,
  renewTlsCertificate,
  type TlsCertificateOptions,
} from '../../src/server/tls-certificate.ts';
import type { TlsIdentity } from '../../src/server/tls-identity.ts';
import { encodeName } from '../../src/x509/name.ts';
import { toPem } from '../../src/x509/pem.ts';
import { codeOfAsync, DAY_MS } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { type KeyKind, type SampleKey, sampleKey, sampleTbs, signed } from '../x509/samples.ts';
import { startTestServer, type TestServer } from './test-server.ts';

const PASSPHRASE = 'sixteen letters!';
const NOW = Date.UTC(2027, 0, 1);
const NAMES = ['pki.example', '127.0.0.1'];

afterEach(() => {
  vi.useRealTimers();
});

interface Given {
  readonly folder: string;
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly passphrase: string;
  readonly names: readonly string[];
  readonly clock: () => number;
}

const ca = sampleKey('P-256');
const caName = encodeName([{ type: 'CN', value: 'Somebody' }]);
const root = signed(ca, sampleTbs('ca', ca, ca, { issuer: caName, subject: caName }));
const subCa = sampleKey('P-256');
const between = signed(ca, sampleTbs('ca', subCa, ca, { issuer: caName }));

function certify(key: SampleKey, days = 90, from = NOW): Buffer {
  return signed(subCa, sampleTbs('server', key, subCa, { notBefore: from, notAfter: from + days * DAY_MS }));
}
const pemOf = (...ders: readonly Uint8Array[]) => ders.map((der) => toPem('CERTIFICATE', der)).join('');
const keyPem = (key: SampleKey, passphrase?: string) =>
  String(
    key.privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
    }),
  );

/** A user's pair in files. */
function give(
  kind: KeyKind = 'P-256',
  certificate = certify,
  now = NOW + DAY_MS,
): Given & { readonly key: SampleKey } {
  const folder = temporaryFolder();
  const key = sampleKey(kind);
  const [certificatePath, keyPath] = [join(folder, 'own.pem'), join(folder, 'own.key')];
  writeFileSync(certificatePath, pemOf(certificate(key), between, root));
  writeFileSync(keyPath, keyPem(key), { mode: 0o600 });
  return { folder, key, certificatePath, keyPath, passphrase: PASSPHRASE, names: NAMES, clock: () => now };
}

function refusal(read: () => unknown): string {
  try {
    read();
    return 'accepted';
  } catch (error) {
    if (error instanceof BirthmarkError) return `${error.code} ${error.field ?? ''}`.trim();
    throw error;
  }
}

describe("a user's certificate", () => {
  test.each<KeyKind>(['P-256', 'P-384', 'RSA-2048'])(
    'with a key of %s is read, and its root is not sent',
    (kind) => {
      const given = give(kind);
      const { context, missingNames } = readGivenCertificate(given);
      expect(String(context.cert)).toBe(
        readFileSync(given.certificatePath, 'latin1').replace(pemOf(root), ''),
      );
      expect(createPrivateKey(String(context.key)).equals(given.key.privateKey)).toBe(true);
      expect(missingNames).toEqual([]);
    },
  );

  test('with a key that the home’s passphrase opens is read, with another passphrase refused', () => {
    const given = give();
    writeFileSync(given.keyPath, keyPem(given.key, PASSPHRASE));
    expect(refusal(() => readGivenCertificate(given))).toBe('accepted');
    writeFileSync(given.keyPath, keyPem(given.key, 'another passphrase'));
    expect(refusal(() => readGivenCertificate(given))).toBe('key-file-unreadable listen.tlsKeyFile');
  });

  test('without a name by which devices reach us is taken, and the name told', () => {
    const { missingNames } = readGivenCertificate({
      ...give(),
      names: [...NAMES, 'other.example', '10.0.0.1'],
    });
    expect(missingNames).toEqual(['other.example', '10.0.0.1']);
  });

  test.each<[string, (given: Given) => void, string]>([
    [
      'is not there',
      ({ certificatePath }) => rmSync(certificatePath),
      'config-invalid listen.tlsCertificateFile',
    ],
    [
      'is none',
      ({ certificatePath }) => writeFileSync(certificatePath, 'x'),
      'config-invalid listen.tlsCertificateFile',
    ],
    ['has no key', ({ keyPath }) => rmSync(keyPath), 'key-file-unreadable'],
    ['has a key that others may read', ({ keyPath }) => chmodSync(keyPath, 0o640), 'key-file-permissions'],
    [
      'has a key that is none',
      ({ keyPath }) => writeFileSync(keyPath, 'x'),
      'key-file-unreadable listen.tlsKeyFile',
    ],
    [
      "has another one's key",
      ({ keyPath }) => writeFileSync(keyPath, keyPem(sampleKey('P-256'))),
      'config-invalid listen.tlsKeyFile',
    ],
    [
      'comes behind its issuer',
      ({ certificatePath }) => {
        const leaf = readFileSync(certificatePath, 'latin1').replace(pemOf(between, root), '');
        writeFileSync(certificatePath, pemOf(between) + leaf);
      },
      'config-invalid listen.tlsKeyFile',
    ],
  ])('that %s is refused', (_title, damage, expected) => {
    const given = give();
    damage(given);
    expect(refusal(() => readGivenCertificate(given))).toBe(expected);
  });

  test.each([
    ['in its last second', 90 * DAY_MS, 'accepted'],
    ['after its end', 90 * DAY_MS + 1000, 'config-invalid listen.tlsCertificateFile'],
    ['in its first second', 0, 'accepted'],
    ['before its beginning', -1, 'config-invalid listen.tlsCertificateFile'],
  ])('%s: %s', (_title, after, expected) => {
    expect(refusal(() => readGivenCertificate(give('P-256', certify, NOW + after)))).toBe(expected);
  });
});

const LOOPBACK = { publicHost: '127.0.0.1', publicPort: 0, tlsHost: '127.0.0.1', tlsPort: 0 };

async function open(server: TestServer, tls: TlsIdentity, more: { readonly constrainedPort?: number } = {}) {
  // Held still until a test lets it go on.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const listeners = await listen({
    api: server.options,
    authorities: server.house.authorities,
    ocsp: server.house.ocsp,
    tls,
    at: { ...LOOPBACK, ...more },
  });
  onTestFinished(() => listeners.close());
  return listeners;
}

function ownOptions({ house }: TestServer): TlsCertificateOptions {
  const folder = temporaryFolder();
  return {
    keyPath: join(folder, 'tls.key'),
    certificatePath: join(folder, 'tls.pem'),
    passphrase: PASSPHRASE,
    names: ['localhost', '127.0.0.1'],
    reads: house.ledger.read,
    issuing: house.issuing,
    issueService: house.issueService,
    clock: house.clock.now,
  };
}

async function connectTo(url: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  onTestFinished(() => void socket.destroy());
  return socket;
}

const serialOf = (socket: TLSSocket) => socket.getPeerX509Certificate()?.serialNumber;
const serialIn = (path: string) => new X509Certificate(readFileSync(path)).serialNumber;

async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [part] = await once(socket, 'data');
  return String(part).slice(0, 15);
}

describe('a certificate that is replaced while we serve', () => {
  test('is shown to new connections of both listeners; an open one goes on', async () => {
    await using server = await startTestServer();
    const options = ownOptions(server);
    await renewTlsCertificate(options);
    const { addresses } = await open(server, ownTlsIdentity(options), { constrainedPort: 0 });
    const before = await connectTo(addresses.tls);
    const old = serialIn(options.certificatePath);
    expect(serialOf(before)).toBe(old);
    server.house.clock.pass(61 * DAY_MS);
    expect(await renewTlsCertificate(options)).toBe(true);
    expect(serialIn(options.certificatePath)).not.toBe(old);
    vi.advanceTimersByTime(60_000);
    for (const url of [addresses.tls, addresses.constrained ?? '']) {
      const after = await connectTo(url);
      expect(serialOf(after)).toBe(serialIn(options.certificatePath));
      // What the policy says holds after the swap too.
      expect(after.getCipher().name).toBe('TLS_AES_128_GCM_SHA256');
    }
    expect(await ask(before)).toBe('HTTP/1.1 200 OK');
  });

  test('keeps its ciphers: what was refused before is refused after', async () => {
    await using server = await startTestServer();
    const options = ownOptions(server);
    await renewTlsCertificate(options);
    const { addresses } = await open(server, ownTlsIdentity(options));
    const cbc = async () => {
      const port = Number(new URL(addresses.tls).port);
      const ciphers = 'ECDHE-ECDSA-AES128-SHA256';
      const socket = connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        maxVersion: 'TLSv1.2',
        ciphers,
      });
      const [error] = await once(socket, 'error');
      return error instanceof Error;
    };
    expect(await cbc()).toBe(true);
    utimesSync(options.certificatePath, 1, 1);
    vi.advanceTimersByTime(60_000);
    expect(server.log.join('')).toContain('new connections get the new TLS certificate');
    expect(await cbc()).toBe(true);
  });

  test("of a user's is not used while half of the pair is there, and is when both are", async () => {
    await using server = await startTestServer();
    const given = give();
    const next = give();
    const { addresses } = await open(server, givenTlsIdentity(given));
    const keyNow = async () => (await connectTo(addresses.tls)).getPeerX509Certificate()?.publicKey;
    expect((await keyNow())?.export({ type: 'spki', format: 'der' })).toEqual(given.key.spki);
    renameSync(next.certificatePath, given.certificatePath);
    vi.advanceTimersByTime(60_000);
    expect(server.log.join('')).toContain('the old one stays');
    expect((await keyNow())?.export({ type: 'spki', format: 'der' })).toEqual(given.key.spki);
    renameSync(next.keyPath, given.keyPath);
    vi.advanceTimersByTime(60_000);
    expect((await keyNow())?.export({ type: 'spki', format: 'der' })).toEqual(next.key.spki);
  });
});

describe('the listener for constrained devices', () => {
  test('is there only where it was asked for', async () => {
    await using server = await startTestServer();
    const { addresses } = await open(server, givenTlsIdentity(give()));
    expect(Object.keys(addresses)).toEqual(['public', 'tls']);
  });

  test.each<[KeyKind, string]>([
    ['P-256', 'accepted'],
    ['P-384', 'config-invalid'],
    ['RSA-2048', 'config-invalid'],
  ])('with a certificate on %s: %s', async (kind, expected) => {
    await using server = await startTestServer();
    const opening = open(server, givenTlsIdentity(give(kind)), { constrainedPort: 0 });
    expect(await codeOfAsync(opening)).toBe(expected);
  });
});
