// Other people's proxies in front of us, which end a device's TLS and forward its certificate over mutual TLS.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toPem } from '../../src/x509/pem.ts';
import {
  INTERMEDIATE,
  newIdentity,
  type PeerServer,
  type ShownPeer,
  startPeerServer,
} from '../server/peer-server.ts';
import { freePort } from './free-port.ts';
import { hasProgram, mustRun } from './run-program.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-'));
const identities = {
  device: newIdentity('ldevid'),
  front: newIdentity('server'),
  haproxy: newIdentity('operator'),
  nginx: newIdentity('operator'),
  envoy: newIdentity('operator'),
};
const { device } = identities;
let server: PeerServer;
const proxies: ChildProcess[] = [];

beforeAll(async () => {
  for (const [name, { pem, keyPem }] of Object.entries(identities)) {
    writeFileSync(path.join(folder, `${name}.pem`), pem);
    writeFileSync(path.join(folder, `${name}.key`), keyPem, { mode: 0o600 });
    writeFileSync(path.join(folder, `${name}.both`), pem + keyPem, { mode: 0o600 });
  }
  writeFileSync(path.join(folder, 'authority.pem'), toPem('CERTIFICATE', INTERMEDIATE));
  server = await startPeerServer([
    { name: 'haproxy', certificateSha256: identities.haproxy.sha256, forwarded: { kind: 'rfc9440' } },
    { name: 'envoy', certificateSha256: identities.envoy.sha256, forwarded: { kind: 'xfcc' } },
    {
      name: 'nginx',
      certificateSha256: identities.nginx.sha256,
      forwarded: { kind: 'nginx', header: 'X-SSL-Client-Cert' },
    },
  ]);
});
afterAll(async () => {
  for (const child of proxies) child.kill('SIGTERM');
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

type Told = ShownPeer & { readonly code?: string };

async function curl(port: number, ...words: readonly string[]): Promise<Told> {
  const url = `https://127.0.0.1:${port}/peer`;
  return JSON.parse(await mustRun('curl', ['-sSk', '--noproxy', '*', ...words, url], { cwd: folder }));
}
const as = (name: keyof typeof identities) => ['--cert', `${name}.pem`, '--key', `${name}.key`];

const NGINX = (port: number) => `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr warn; user root;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/front.pem; ssl_certificate_key ${folder}/front.key;
    ssl_verify_client optional_no_ca;
    location / {
      proxy_pass https://127.0.0.1:${server.port};
      proxy_ssl_certificate ${folder}/nginx.pem; proxy_ssl_certificate_key ${folder}/nginx.key;
      proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
    }
  }
}
`;

const HAPROXY = (port: number) => `
global
  maxconn 64
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port} ssl crt ${folder}/front.both ca-file ${folder}/authority.pem verify optional ca-ignore-err all crt-ignore-err all
  http-request del-header Client-Cert
  http-request del-header Client-Cert-Chain
  http-request set-header Client-Cert ":%[ssl_c_der,base64]:" if { ssl_c_used }
  default_backend back
backend back
  server birthmark 127.0.0.1:${server.port} ssl verify none crt ${folder}/haproxy.both
`;

const PROXIES = [
  ['nginx', NGINX, (file: string) => ['-p', folder, '-c', file], ['X-SSL-Client-Cert: forged']],
  [
    'haproxy',
    HAPROXY,
    (file: string) => ['-db', '-f', file],
    ['Client-Cert: forged', 'Client-Cert-Chain: forged'],
  ],
] as const;

describe.each(PROXIES)('%s', (name, config, words, forged) => {
  const program = `/usr/sbin/${name}`;
  let port = 0;
  beforeAll(async () => {
    if (!hasProgram(program)) return;
    port = await freePort();
    const file = path.join(folder, `${name}.conf`);
    writeFileSync(file, config(port));
    proxies.push(spawn(program, words(file), { stdio: ['ignore', 'ignore', 'inherit'] }));
    for (let tries = 0; tries < 200 && !(await accepts(port)); tries += 1) await sleep(25);
  });
  const proxied = test.skipIf(!hasProgram(program));

  proxied('speaks for the device that shows its certificate, again and again', async () => {
    for (let times = 0; times < 3; times += 1) {
      const peer = await curl(port, ...as('device'));
      expect([peer.leaf, peer.via, peer.kind]).toEqual([
        device.leaf.toString('hex'),
        `proxy:${name}`,
        undefined,
      ]);
    }
  });

  proxied('speaks for nobody where its client shows none, whatever header that one sends', async () => {
    const headers = forged.flatMap((header) => ['-H', header]);
    for (const more of [[], headers]) {
      const peer = await curl(port, ...more);
      expect([peer.leaf, peer.via, peer.code]).toEqual([undefined, undefined, undefined]);
    }
  });

  proxied('is believed with its certificate only: the same header from another one is refused', async () => {
    const [header = ''] = forged;
    expect(await curl(server.port, '-H', header, ...as('device'))).toMatchObject({
      code: 'certificate-refused',
    });
    expect(await curl(server.port, '-H', header)).toMatchObject({ code: 'certificate-refused' });
  });
});

describe("Envoy's header, by curl", () => {
  const header = `X-Forwarded-Client-Cert: Hash=${device.sha256};Cert="${encodeURIComponent(toPem('CERTIFICATE', device.leaf))}";Chain="${encodeURIComponent(device.pem)}";Subject="O=Lab"`;

  test('is believed from the proxy', async () => {
    expect(await curl(server.port, '-H', header, ...as('envoy'))).toMatchObject({
      leaf: device.leaf.toString('hex'),
      chain: [INTERMEDIATE.toString('hex')],
      via: 'proxy:envoy',
    });
  });

  test('is refused from a device, and from a proxy that speaks for others in another way', async () => {
    expect(await curl(server.port, '-H', header, ...as('device'))).toMatchObject({
      code: 'certificate-refused',
    });
    const other = await curl(server.port, '-H', header, ...as('nginx'));
    expect([other.leaf, other.via]).toEqual([undefined, undefined]);
  });
});

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}
