import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LOOP = fileURLToPath(new URL('bare-loop.ts', import.meta.url));

/** What this machine's processors allow, taken on all of `cores` at once. */
export interface Limits {
  /** Verifications and signatures a second by OpenSSL: `1 / (1/verify + 1/sign)`, summed over the cores. */
  readonly machine: number;
  /** Rounds of import, verify, sign on this runtime, the key imported from the DER in the CSR, summed over the cores. */
  readonly runtime: number;
  /** The same with the fastest way of importing that we know (as PEM text), which is what our own code does. */
  readonly runtimeFastestImport: number;
}

export async function measureMachine(cores: number, seconds: number): Promise<number> {
  const { stdout } = await run('openssl', [
    'speed',
    '-seconds',
    String(seconds),
    '-multi',
    String(cores),
    'ecdsap256',
  ]);
  // The last line: "256 bits ecdsa (nistp256)   0.0000s   0.0001s  65000.0  22000.0"
  const [, sign, verify] = /nistp256\)\s+[\d.]+s\s+[\d.]+s\s+([\d.]+)\s+([\d.]+)/.exec(stdout) ?? [];
  if (sign === undefined || verify === undefined)
    throw new Error('openssl speed printed no figures for ecdsap256');
  return 1 / (1 / Number(sign) + 1 / Number(verify));
}

/** P-256 verifications a second on one core. */
export async function measureVerification(seconds: number): Promise<number> {
  const { stdout } = await run('openssl', ['speed', '-seconds', String(seconds), 'ecdsap256']);
  const [, verify] = /nistp256\)\s+[\d.]+s\s+[\d.]+s\s+[\d.]+\s+([\d.]+)/.exec(stdout) ?? [];
  if (verify === undefined) throw new Error('openssl speed printed no figures for ecdsap256');
  return Number(verify);
}

export async function measureRuntime(cores: number, seconds: number): Promise<Omit<Limits, 'machine'>> {
  const loops = await Promise.all(Array.from({ length: cores }, () => bareLoop(seconds)));
  return {
    runtime: loops.reduce((sum, { der }) => sum + der, 0),
    runtimeFastestImport: loops.reduce((sum, { pem }) => sum + pem, 0),
  };
}

async function bareLoop(seconds: number): Promise<{ der: number; pem: number }> {
  const child = spawn(process.execPath, [LOOP, String(seconds)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const piece of child.stdout) text += String(piece);
  return JSON.parse(text);
}
