import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { createServerLink } from '../../src/agent/net/server-link.ts';
import { codeOfAsync, newKey } from '../house.ts';
import { keyPem, pemOf, shareAgentLab } from './lab.ts';

// A server that redirects: `/STATUS/LEFT?to=…` goes on so many times, then to `to`, or answers.

const lab = await shareAgentLab();
const key = newKey();
const { certificate, chain } = await lab.serverCertificate(key);
const asked: string[] = [];
const server = createServer(
  { key: keyPem(key), cert: pemOf([certificate, ...chain]) },
  (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const { pathname, searchParams } = new URL(request.url ?? '', 'https://localhost');
    const [, status = '', left = ''] = pathname.split('/');
    request.resume();
    const to = searchParams.get('to');
    if (Number(left) > 0) response.writeHead(Number(status), { location: `/${status}/${Number(left) - 1}` });
    else if (to !== null) response.writeHead(Number(status), { location: to });
    response.end(request.method);
  },
);
server.listen(0, 'localhost');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
afterAll(() => void server.close());

const ask = createServerLink({
  url: new URL(`https://localhost:${port}`),
  anchors: () => [lab.root],
  time: { now: lab.house.clock.now, heard: () => undefined, hasBeen: () => undefined },
  timeoutMs: 5000,
});
const get = (path: string) => ask({ method: 'GET', path });
const post = (path: string) => ask({ method: 'POST', path, body: () => Buffer.from('x') });

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])(
    'with %i on the same server is followed for a question',
    async (status) => {
      expect(await get(`/${status}/3`)).toMatchObject({ status: 200 });
    },
  );

  test.each([307, 308])('with %i is followed for what is sent, which is sent again', async (status) => {
    expect((await post(`/${status}/2`)).body.toString()).toBe('POST');
  });

  test.each([301, 302, 303])(
    'with %i is refused for what is sent, and nothing is asked in its place',
    async (status) => {
      asked.length = 0;
      await expect(post(`/${status}/1`)).rejects.toThrow(/307 or 308/);
      expect(asked).toEqual([`POST /${status}/1`]);
    },
  );

  test.each([
    ['another host', `https://127.0.0.1:PORT/`],
    ['another port', 'https://localhost:1/'],
    ['another scheme', 'http://localhost:PORT/'],
    ['what is no address', 'https://[/'],
  ])('to %s is refused, and says where it leads', async (_where, to) => {
    const target = to.replace('PORT', String(port));
    for (const send of [get, post]) {
      asked.length = 0;
      expect(await codeOfAsync(send(`/307/0?to=${encodeURIComponent(target)}`))).toBe('answer-refused');
      expect(asked).toHaveLength(1);
    }
  });

  test('without end is refused', async () => {
    expect(await codeOfAsync(get('/302/4'))).toBe('answer-refused');
  });
});
