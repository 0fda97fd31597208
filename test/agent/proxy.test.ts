import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { dial } from '../../src/agent/net/dial.ts';
import { type ProxyServer, parseProxy } from '../../src/agent/net/proxy.ts';
import { encodeConnect } from '../../src/agent/net/socks5.ts';
import { codeOfAsync } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

const PLACE = { host: 'pki.example', port: 8443 };

describe('the address of a proxy', () => {
  test('is read: kind, host, port, and a user whose password comes from elsewhere', () => {
    expect(parseProxy('socks5h://10.0.0.1')).toEqual({ kind: 'socks5', host: '10.0.0.1', port: 1080 });
    expect(parseProxy('http://[::1]:3128')).toEqual({ kind: 'http', host: '::1', port: 3128 });
    expect(parseProxy('socks5h://dev%40lab@p:1', 'pä ss')).toMatchObject({
      user: { name: 'dev@lab', password: 'pä ss' },
    });
  });

  test.each([
    ['socks5://p:1', undefined],
    ['socks4://p:1', undefined],
    ['https://p:1', undefined],
    ['p:1080', undefined],
    ['socks5h://u:hunter2@p:1', undefined],
    ['socks5h://u@p:1', undefined],
    ['socks5h://p:1', 'hunter2'],
    ['socks5h://u@p:1', ''],
    ['socks5h://u@p:1', 'x'.repeat(256)],
    ['socks5h://u@p:1', 'a\nb'],
    ['http://a%3Ab@p:1', 'hunter2'],
    ['http://p:1/path', undefined],
  ])('is refused as %s with password %s, and no password is told', (text, password) => {
    expect(codeOf(() => parseProxy(text, password))).toBe('config-invalid');
    try {
      parseProxy(text, password);
    } catch (error) {
      expect(String(error)).not.toContain('hunter2');
    }
  });
});

test('a request of SOCKS5 has a name as a name and an address as an address (RFC 1928 §4)', () => {
  expect(encodeConnect(PLACE).toString('hex')).toBe(
    `050100030b${Buffer.from('pki.example').toString('hex')}20fb`,
  );
  expect(encodeConnect({ host: '192.0.2.1', port: 1 }).toString('hex')).toBe('05010001c00002010001');
  expect(encodeConnect({ host: '2001:db8::1', port: 1 })).toHaveLength(4 + 16 + 2);
  expect(codeOf(() => encodeConnect({ host: 'a'.repeat(256), port: 1 }))).toBe('proxy-failed');
});

/** A proxy that says what it is told, a piece for each thing that it hears, and then closes. */
async function liar(
  pieces: readonly (string | readonly number[])[],
): Promise<Pick<ProxyServer, 'host' | 'port'>> {
  const server = createServer((socket) => {
    let at = 0;
    socket.on('error', () => undefined);
    socket.on('data', () => {
      const piece = pieces[at];
      at += 1;
      if (piece === undefined) socket.end();
      else socket.write(typeof piece === 'string' ? piece : Uint8Array.from(piece));
      if (at === pieces.length) socket.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

const through = async (
  kind: ProxyServer['kind'],
  pieces: Parameters<typeof liar>[0],
  user?: ProxyServer['user'],
) => {
  const proxy = { kind, ...(await liar(pieces)), ...(user && { user }) };
  const socket = await dial(PLACE, proxy, AbortSignal.timeout(2000));
  const said: string[] = [];
  socket.on('data', (part: Buffer) => said.push(part.toString()));
  await Promise.race([once(socket, 'close'), sleep(1000)]);
  socket.destroy();
  return said.join('');
};

const user = { name: 'u', password: 'p' };
const OK = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

describe('a SOCKS5 proxy', () => {
  test('that does as it should leaves the connection to the other side, from its first octet on', async () => {
    expect(
      await through('socks5', [
        [5, 0],
        [...OK, 0x68, 0x69],
      ]),
    ).toBe('hi');
    expect(
      await through(
        'socks5',
        [
          [5, 2],
          [1, 0],
          [5, 0, 0, 3, 1, 0x61, 0, 0, 0x68, 0x69],
        ],
        user,
      ),
    ).toBe('hi');
  });

  test.each([
    ['speaks another version', [[4, 0]], undefined],
    ['wants a password that we do not have', [[5, 2]], undefined],
    ['takes none of our methods', [[5, 0xff]], user],
    [
      'does not take the password',
      [
        [5, 2],
        [1, 1],
      ],
      user,
    ],
    [
      'refuses the connection',
      [
        [5, 0],
        [5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
      ],
      undefined,
    ],
    [
      'answers with a type that there is not',
      [
        [5, 0],
        [5, 0, 0, 9, 0, 0],
      ],
      undefined,
    ],
    [
      'is cut off',
      [
        [5, 0],
        [5, 0, 0],
      ],
      undefined,
    ],
    ['says nothing', [], undefined],
  ])('that %s is refused', async (_what, pieces, as) => {
    expect(await codeOfAsync(through('socks5', pieces, as))).toBe('proxy-failed');
  });
});

describe('an HTTP proxy', () => {
  test('that does as it should leaves the connection to the other side, from its first octet on', async () => {
    expect(await through('http', ['HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhi'])).toBe('hi');
  });

  test.each([
    ['wants a password', 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'],
    ['forbids it', 'HTTP/1.0 403 Filtered\r\n\r\n'],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['is cut off', 'HTTP/1.1 200 OK\r\n'],
    ['talks for ever', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(9000)}`],
  ])('that %s is refused', async (_what, head) => {
    expect(await codeOfAsync(through('http', [head]))).toBe('proxy-failed');
  });
});

test('a proxy that never answers is given up in time', async () => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  for (const kind of ['socks5', 'http'] as const)
    expect(await codeOfAsync(dial(PLACE, { kind, host: '127.0.0.1', port }, AbortSignal.timeout(50)))).toBe(
      'proxy-failed',
    );
});
