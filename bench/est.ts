import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCsr } from '../src/x509/create-csr.ts';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { median, percentile } from './statistics.ts';

const LOAD = fileURLToPath(new URL('est-load.ts', import.meta.url));
const WORKERS = 1;
const DEVICES = 250;
const ENROLLMENTS = 1000;
const ROUNDS = 5;

export interface EstResult {
  /** Mutual-TLS enrollments a second, each over a connection of its own. */
  readonly rate: number;
  /** `1 / (1/h + 1/e)` of the two below. */
  readonly limit: number;
  readonly ratio: number;
  /** h: mutual handshakes a second of the same server, nothing asked. */
  readonly handshakes: number;
  /** e: enrollments a second over kept connections. */
  readonly kept: number;
  /** One enrollment after the other over one kept connection. */
  readonly keptP50Ms: number;
  readonly keptP99Ms: number;
  /** Of one core, while the rate was taken. */
  readonly loadCpuShare: number;
}

interface Load {
  readonly count: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly milliseconds: readonly number[];
}

/** EST with an IDevID as the client certificate, one worker, eight clients at once from one process on the other core. */
export async function benchEst(say: (text: string) => void): Promise<EstResult> {
  const home = makeHome();
  const rounds: { h: number; e: number; rate: number; share: number }[] = [];
  const waits: number[] = [];
  try {
    await command(home, 'init');
    const house = await startHouse(home, WORKERS);
    try {
      for (let round = 0; round <= ROUNDS; round += 1) {
        const devices = await bear(house, round);
        const measure = (mode: string) => runLoad(house, join(home, 'load.json'), devices, mode);
        const handshakes = await measure('handshake');
        const kept = await measure('kept');
        const full = await measure('full');
        const single = await measure('single');
        // The first round warms up.
        if (round === 0) continue;
        const [h, e, rate] = [handshakes, kept, full].map(({ count, seconds }) => count / seconds);
        if (h === undefined || e === undefined || rate === undefined) continue;
        rounds.push({ h, e, rate, share: full.cpuSeconds / full.seconds });
        waits.push(...single.milliseconds);
        say(
          `round ${round}: ${Math.round(rate)}/s; handshakes ${Math.round(h)}/s, kept ${Math.round(e)}/s (${(rate * (1 / h + 1 / e)).toFixed(3)})`,
        );
      }
    } finally {
      await house.stop();
    }
  } finally {
    removeHome(home);
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  return {
    rate: Math.round(of(({ rate }) => rate)),
    limit: Math.round(of(({ h, e }) => 1 / (1 / h + 1 / e))),
    ratio: Math.round(of(({ h, e, rate }) => rate * (1 / h + 1 / e)) * 1000) / 1000,
    handshakes: Math.round(of(({ h }) => h)),
    kept: Math.round(of(({ e }) => e)),
    keptP50Ms: Math.round(percentile(waits, 50) * 10) / 10,
    keptP99Ms: Math.round(percentile(waits, 99) * 10) / 10,
    loadCpuShare: Math.round(of(({ share }) => share) * 1000) / 1000,
  };
}

interface Born {
  readonly key: string;
  readonly cert: string;
}

/** Devices with IDevIDs of this house. */
async function bear(house: BenchHouse, round: number): Promise<Born[]> {
  const told = await house.command('token', 'create', '--role', 'factory', '--name', `bench-${round}`);
  const keys = Array.from(
    { length: DEVICES },
    () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  );
  const lines = keys.map((key, at) => {
    const serialNumber = `EST-${round}-${at}`;
    const hwSerialNum = Buffer.from(serialNumber).toString('base64');
    return JSON.stringify({
      serialNumber,
      csr: createCsr(key).toString('base64'),
      hwType: '1.3.6.1.4.1.99999.1',
      hwSerialNum,
    });
  });
  const text = await post(house, told.split('\n').at(-1) ?? '', `${lines.join('\n')}\n`);
  return text
    .trimEnd()
    .split('\n')
    .map((line, at) => {
      const { certificate }: { certificate?: string } = JSON.parse(line);
      if (certificate === undefined) throw new Error(`a device was not born: ${line}`);
      return { cert: certificate, key: keys[at]?.export({ type: 'pkcs8', format: 'pem' }).toString() ?? '' };
    });
}

function post(house: BenchHouse, token: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${house.tls}/api/v1/factory/batch`,
      {
        method: 'POST',
        ca: readFileSync(house.ca),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.once('end', () => resolve(text));
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

/** CSRs are made before the clock starts; the load runs in a process that is pinned to one core. */
async function runLoad(
  house: BenchHouse,
  file: string,
  devices: readonly Born[],
  mode: string,
): Promise<Load> {
  const csrs = Array.from({ length: ENROLLMENTS }, () =>
    createCsr(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey).toString('base64'),
  );
  writeFileSync(file, JSON.stringify({ devices, csrs }), { mode: 0o600 });
  const load = spawn('taskset', ['-c', '1', process.execPath, LOAD, house.tls, house.ca, file, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const piece of load.stdout) text += String(piece);
  const result: Load = JSON.parse(text);
  return result;
}
