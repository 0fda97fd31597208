import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect } from 'node:tls';

/**
 * `node est-load.ts URL CA DEVICES.json MODE`: prints `{"count","seconds","cpuSeconds","milliseconds"}`. Modes: `handshake` (mutual
 * TLS and nothing else), `kept` (enrollments over connections that are kept), `single` (over one, one after the other), `full`
 * (a new connection for each).
 */
const [, , url = '', caPath = '', devicesPath = '', mode = ''] = process.argv;
const ca = readFileSync(caPath);
const { devices, csrs }: { devices: { key: string; cert: string }[]; csrs: string[] } = JSON.parse(
  readFileSync(devicesPath, 'utf8'),
);
const AT_ONCE = mode === 'single' ? 1 : 8;
/** A device that comes again and again has ever more certificates: a connection is kept for so many. */
const KEPT_FOR = 25;
const { hostname, port } = new URL(url);
const milliseconds: number[] = [];
let next = 0;

function handshake(device: { key: string; cert: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ca, ...device, session: undefined });
    socket.once('error', reject);
    // The server's session ticket is the first thing that it says once it has verified us.
    socket.once('session', () => {
      socket.destroy();
      resolve();
    });
  });
}

function enroll(agent: Agent, csr: string): Promise<void> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/.well-known/est/simpleenroll`,
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/pkcs10', 'content-length': csr.length },
      },
      (response) => {
        response.resume();
        response.once('end', () => {
          milliseconds.push(performance.now() - startedAt);
          if (response.statusCode === 200) resolve();
          else reject(new Error(`answered with ${response.statusCode}`));
        });
      },
    );
    sent.once('error', reject);
    sent.end(csr);
  });
}

async function work(): Promise<void> {
  let agent: Agent | undefined;
  let used = 0;
  for (let at = next++; at < csrs.length; at = next++) {
    const device =
      devices[
        mode !== 'full' && mode !== 'handshake'
          ? Math.floor(at / KEPT_FOR) % devices.length
          : at % devices.length
      ];
    if (!device) throw new Error('there are no devices');
    if (mode === 'handshake') {
      await handshake(device);
      continue;
    }
    if (!agent || mode === 'full' || used % KEPT_FOR === 0) {
      agent?.destroy();
      agent = new Agent({ keepAlive: mode !== 'full', maxSockets: 1, maxCachedSessions: 0, ca, ...device });
    }
    used += 1;
    await enroll(agent, csrs[at] ?? '');
  }
  agent?.destroy();
}

const startedAt = performance.now();
const before = process.cpuUsage();
await Promise.all(Array.from({ length: AT_ONCE }, work));
const { user, system } = process.cpuUsage(before);
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ count: csrs.length, seconds, cpuSeconds: (user + system) / 1e6, milliseconds }));
