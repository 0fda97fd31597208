// Other people's proxies on loopback: Dante for SOCKS5, Tinyproxy for HTTP CONNECT. The names that devices use are known to the
// proxies alone (they run with a hosts file of their own), so what gets through was resolved there.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { freePort } from '../free-port.ts';

export interface Running {
  readonly port: number;
  log(): string;
}

/** A name that only the proxies resolve, to loopback. */
export const HIDDEN_NAME = 'pki.behind-the-proxy.example';

const READY_WITHIN_MS = 10_000;

/** Whether this machine lets a process have a mount namespace, for a hosts file of its own. */
export function hasNamespaces(): boolean {
  return spawnSync('unshare', ['--mount', 'true']).status === 0;
}

/** Dante; with a password it wants that of the machine's user `user`, whose name and password are made for it alone. */
export async function startDante(
  auth: 'none' | { readonly user: string; readonly password: string },
): Promise<Running> {
  const port = await freePort();
  const folder = makeFolder();
  const method = auth === 'none' ? 'none' : 'username';
  const config = path.join(folder, 'danted.conf');
  writeFileSync(
    config,
    `logoutput: stderr
internal: 127.0.0.1 port = ${port}
external: lo
socksmethod: ${method}
clientmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect error }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 log: connect error }
socks pass { from: 127.0.0.0/8 to: .example log: connect error }
`,
  );
  const users = auth === 'none' ? '' : `${auth.user}:x:65000:65534::/nonexistent:/usr/sbin/nologin\n`;
  const shadow = auth === 'none' ? '' : `${auth.user}:${crypt(auth.password)}:19000::::::\n`;
  return start(folder, port, ['/usr/sbin/danted', '-f', config], { passwd: users, shadow });
}

/** Tinyproxy; with a user and a password, or for all. */
export async function startTinyproxy(auth?: {
  readonly user: string;
  readonly password: string;
}): Promise<Running> {
  const port = await freePort();
  const folder = makeFolder();
  const config = path.join(folder, 'tinyproxy.conf');
  const basic = auth ? `BasicAuth ${auth.user} ${auth.password}\n` : '';
  writeFileSync(config, `Port ${port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\n${basic}`);
  return start(folder, port, ['/usr/bin/tinyproxy', '-d', '-c', config], {});
}

function crypt(password: string): string {
  return spawnSync('openssl', ['passwd', '-6', '-stdin'], {
    input: password,
    encoding: 'utf8',
  }).stdout.trim();
}

function makeFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-proxy-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program in a mount namespace where /etc/hosts has the hidden name, and lines are added to other files. */
async function start(
  folder: string,
  port: number,
  command: readonly string[],
  more: Readonly<Record<string, string>>,
): Promise<Running> {
  const mounts: string[] = [];
  for (const [name, lines] of Object.entries({ ...more, hosts: `127.0.0.1 ${HIDDEN_NAME}\n` })) {
    const file = path.join(folder, name);
    writeFileSync(file, `${readFileSync(`/etc/${name}`, 'utf8')}${lines}`, { mode: 0o644 });
    mounts.push(`mount --bind ${file} /etc/${name}`);
  }
  const script = [...mounts, `exec ${command.join(' ')}`].join(' && ');
  const child = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      log += part.toString();
    });
  onTestFinished(() => end(child));
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${command[0]} did not get ready:\n${log}`);
    await sleep(20);
  }
  return { port, log: () => log };
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}
