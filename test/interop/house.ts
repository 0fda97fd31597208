// A real `birthmark serve` in a home of its own, on loopback, and everybody else's programs against it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Done, mustRun, runProgram } from './run-program.ts';

export interface HouseOptions {
  /** What follows `birthmark init`; its `--public-url` is ours. */
  readonly init?: readonly string[];
  /** Rewrites birthmark.toml before the first `serve`. */
  readonly configure?: (toml: string) => string;
  /** Done in its folder before the first `serve`. */
  readonly before?: (folder: string) => Promise<void>;
  /** What follows `birthmark serve`. */
  readonly serve?: readonly string[];
  /** Where its folder is made; the system's temporary folder by default. */
  readonly under?: string;
}

/** The answer to a request. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface House {
  /** Where programs run and tests keep their files; gone after `stop`. */
  readonly folder: string;
  readonly home: string;
  /** The listeners, as the ready file names them. */
  readonly publicUrl: string;
  readonly tlsUrl: string;
  /** The process id of `birthmark serve`. */
  readonly pid: number;
  /** What `birthmark init` said. */
  readonly told: Done;
  /** Path of `pki/NAME.pem`. */
  pem(name: string): string;
  /** Writes a file into the folder; gives its path. */
  write(name: string, content: string | Uint8Array): string;
  read(name: string): string;
  /** Runs a command of ours on this home. */
  birthmark(...words: readonly string[]): Promise<Done>;
  /** Runs a command that must end well; gives its standard output. */
  must(...words: readonly string[]): Promise<string>;
  /** Makes a token; writes it to `NAME.token` (mode 0600), and gives it. */
  tokenFile(name: string, ...words: readonly string[]): Promise<string>;
  /** Runs somebody else's program, which must end well, in the folder. */
  program(name: string, ...words: readonly string[]): Promise<string>;
  /** curl that trusts our root; a path is one of the TLS listener. */
  curl(target: string, ...words: readonly string[]): Promise<Answer>;
  /** The listener's address of a URL that a certificate names. */
  published(url: string): string;
  /** Kills `serve` as a power cut does. */
  kill(): Promise<void>;
  /** Starts `serve` again, on the same ports. */
  restart(): Promise<void>;
  /** Ends `serve`, and removes the folder. Gives its exit code. */
  stop(): Promise<number | null>;
  /** What `serve` wrote. */
  log(): string;
}

/** What certificates of these homes name; no machine has that name. */
export const PUBLIC_URL = 'http://pki.lab.example';

const READY_WITHIN_MS = 60_000;
const COMMAND = fileURLToPath(new URL('../../bin/birthmark.mjs', import.meta.url));

/** Runs a command of ours as a user does, in the Node that runs this. */
export function birthmark(
  words: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd?: string,
): Promise<Done> {
  return runProgram(process.execPath, [COMMAND, ...words], {
    env: { ...cleanEnvironment(), ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
}

/** Where tickets and tokens are: alone on the last line. */
export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

/** Makes a home and serves it. */
export async function startHouse({
  init = [],
  configure,
  before,
  serve = [],
  under = tmpdir(),
}: HouseOptions = {}): Promise<House> {
  const folder = mkdtempSync(path.join(under, 'birthmark-'));
  const home = path.join(folder, 'home');
  const env = { BIRTHMARK_HOME: home };
  const told = await birthmark(['init', '--public-url', PUBLIC_URL, ...init], env, folder);
  if (told.status !== 0) throw new Error(`birthmark init ended with ${told.status}: ${told.err}`);
  const config = path.join(home, 'birthmark.toml');
  if (configure) writeFileSync(config, configure(readFileSync(config, 'utf8')));
  await before?.(folder);
  let log = '';
  const start = (ports: readonly string[]) =>
    startServing(folder, [...ports, ...serve], { ...cleanEnvironment(), ...env }, (text) => {
      log += text;
    });
  let serving = await start(['--public-port', '0', '--tls-port', '0']);
  const { publicUrl, tlsUrl } = serving;

  const house: House = {
    folder,
    home,
    publicUrl,
    tlsUrl,
    told,
    get pid() {
      return serving.child.pid ?? 0;
    },
    pem: (name) => path.join(home, 'pki', `${name}.pem`),
    write: (name, content) => {
      const file = path.join(folder, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
    read: (name) => readFileSync(path.resolve(folder, name), 'utf8'),
    birthmark: (...words) => birthmark(words, env, folder),
    must: async (...words) => {
      const { status, out, err } = await birthmark(words, env, folder);
      if (status !== 0) throw new Error(`birthmark ${words.join(' ')} ended with ${status}:\n${out}\n${err}`);
      return out;
    },
    tokenFile: async (name, ...words) => {
      const token = lastLine(await house.must('token', 'create', '--name', name, ...words));
      writeFileSync(path.join(folder, `${name}.token`), `${token}\n`, { mode: 0o600 });
      return token;
    },
    program: (name, ...words) => mustRun(name, words, { cwd: folder }),
    curl: async (target, ...words) => {
      const url = target.startsWith('/') ? `${tlsUrl}${target}` : target;
      const text = await mustRun(
        'curl',
        ['-sS', '--noproxy', '*', '--cacert', house.pem('root'), '-w', '\n%{http_code}', ...words, url],
        { cwd: folder },
      );
      const cut = text.lastIndexOf('\n');
      return { status: Number(text.slice(cut + 1)), body: text.slice(0, cut) };
    },
    published: (url) => {
      if (!url.startsWith(`${PUBLIC_URL}/`)) throw new Error(`${url} is not below ${PUBLIC_URL}`);
      return publicUrl + url.slice(PUBLIC_URL.length);
    },
    kill: () => end(serving.child, 'SIGKILL').then(() => undefined),
    restart: async () => {
      const port = (url: string) => new URL(url).port;
      serving = await start(['--public-port', port(publicUrl), '--tls-port', port(tlsUrl)]);
    },
    stop: async () => {
      const status = await end(serving.child, 'SIGTERM');
      rmSync(folder, { recursive: true, force: true });
      return status;
    },
    log: () => log,
  };
  return house;
}

interface Serving {
  readonly child: ChildProcess;
  readonly publicUrl: string;
  readonly tlsUrl: string;
}

async function startServing(
  folder: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  onLog: (text: string) => void,
): Promise<Serving> {
  const readyFile = path.join(folder, 'ready.json');
  rmSync(readyFile, { force: true });
  const child = spawn(process.execPath, [COMMAND, 'serve', '--ready-file', readyFile, ...words], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      log += part.toString();
      onLog(part.toString());
    });
  }
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
      await end(child, 'SIGKILL');
      throw new Error(`birthmark serve ${words.join(' ')} did not get ready:\n${log}`);
    }
    await sleep(20);
  }
  const ready: unknown = JSON.parse(readFileSync(readyFile, 'utf8'));
  const text = (name: string) => String(new Map(Object.entries(Object(ready))).get(name));
  return { child, publicUrl: text('public'), tlsUrl: text('tls') };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }
  return child.exitCode;
}

/** The environment of this process without what would lead a command of ours astray. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { BIRTHMARK_HOME, BIRTHMARK_PASSPHRASE, NODE_OPTIONS, ...rest } = process.env;
  return rest;
}
