// What a connection binds a request to, against TLS libraries that are not Node's.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { newIdentity, type ShownPeer, startPeerServer } from '../server/peer-server.ts';
import { hasProgram, mustRun } from './run-program.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
const server = await startPeerServer();
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
const device = newIdentity('ldevid');
writeFileSync(path.join(folder, 'device.pem'), device.pem);
writeFileSync(path.join(folder, 'device.key'), device.keyPem);
const leaf = device.leaf.toString('hex');
const chain = device.chain.map((der) => der.toString('hex'));

const REQUEST = 'GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** What the server tells; it is the one JSON object in the text. */
function shown(text: string): ShownPeer {
  return JSON.parse(/\{"(?:leaf|kind)".*\}/.exec(text)?.[0] ?? '{}');
}

/** Two connections, the second of which resumes the session of the first; each prints what the server told and its own. */
const STRANGER = `
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.maximum_version = ssl.TLSVersion.TLSv1_2
if len(sys.argv) > 2: context.load_cert_chain(sys.argv[2], sys.argv[3])
session = None
for _ in range(2):
    with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), session=session) as tls:
        tls.sendall(${JSON.stringify(REQUEST)}.encode())
        text = b""
        while part := tls.recv(65536): text += part
        print(tls.session_reused, tls.get_channel_binding("tls-unique").hex(), text.split(b"\\r\\n\\r\\n")[1].decode())
        session = tls.session
`;

describe('on TLS 1.2', () => {
  test.each([
    ['with a certificate', ['device.pem', 'device.key']],
    ['without one', []],
  ])("Python's tls-unique is ours, in a full handshake and a resumed one, %s", async (_title, files) => {
    const words = ['-c', STRANGER, String(server.port), ...files];
    const lines = (await mustRun('/usr/bin/python3', words, { cwd: folder })).trim().split('\n');
    const seen = lines.map((line) => {
      const [reused, unique, ...json] = line.split(' ');
      return { reused: reused === 'True', unique, peer: shown(json.join(' ')) };
    });
    expect(seen.map(({ reused, peer }) => [reused, peer.reused])).toEqual([
      [false, false],
      [true, true],
    ]);
    for (const { unique, peer } of seen) {
      expect([peer.kind, peer.octets]).toEqual(['tls-unique', unique]);
      expect([peer.leaf, peer.chain]).toEqual(files.length > 0 ? [leaf, chain] : [undefined, undefined]);
    }
    expect(seen[0]?.unique).not.toBe(seen[1]?.unique);
  });

  test('without extended master secret there is no binding', async () => {
    const config = path.join(folder, 'openssl.cnf');
    const lines = ['openssl_conf = a', '[a]', 'ssl_conf = b', '[b]', 'system_default = c', '[c]'];
    writeFileSync(config, [...lines, 'Options = -ExtendedMasterSecret', ''].join('\n'));
    const words = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-tls1_2', '-ign_eof'];
    const ask = (env: NodeJS.ProcessEnv) =>
      mustRun('openssl', words, { cwd: folder, input: REQUEST, env: { ...process.env, ...env } });
    const [text, twin] = [await ask({ OPENSSL_CONF: config }), await ask({})];
    expect([text, twin].map((one) => /Extended master secret: (\w+)/.exec(one)?.[1])).toEqual(['no', 'yes']);
    expect([shown(text).kind, shown(twin).kind]).toEqual([undefined, 'tls-unique']);
  });
});

describe('on TLS 1.3', () => {
  test("OpenSSL's exporter is ours, in a full handshake and a resumed one", async () => {
    const words = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-tls1_3', '-ign_eof'];
    const keys = ['-keymatexport', 'EXPORTER-Channel-Binding', '-keymatexportlen', '32'];
    const identity = ['-cert', 'device.pem', '-key', 'device.key', '-cert_chain', 'device.pem'];
    const ask = (...more: readonly string[]) =>
      mustRun('openssl', [...words, ...keys, ...identity, ...more], { cwd: folder, input: REQUEST });
    const texts = [await ask('-sess_out', 'session'), await ask('-sess_in', 'session')];
    for (const [at, text] of texts.entries()) {
      const peer = shown(text);
      const keying = /Keying material: ([0-9A-F]+)/.exec(text)?.[1]?.toLowerCase();
      expect(peer).toMatchObject({ reused: at === 1, kind: 'tls-exporter', octets: keying, leaf });
      expect(peer.chain).toContain(chain[0]);
    }
  });
});

test.skipIf(!hasProgram('gnutls-cli'))("GnuTLS's tls-exporter is ours", async () => {
  const words = ['--insecure', '--port', String(server.port), '--logfile', 'gnutls.log', '127.0.0.1'];
  const text = await mustRun('gnutls-cli', words, { cwd: folder, input: REQUEST });
  expect(shown(text)).toMatchObject({ kind: 'tls-exporter', protocol: 'TLSv1.3' });
});
