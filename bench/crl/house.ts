import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { certIdIssuer } from '../../src/x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../../src/x509/ocsp-request.ts';
import { parsePem } from '../../src/x509/pem.ts';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from '../house.ts';

const run = promisify(execFile);
const FILL = fileURLToPath(new URL('../fill-ledger.ts', import.meta.url));
/** The one process publishes and serves: the hardest for who asks meanwhile. */
export const WORKERS = 1;

/** What a part cost the server, whatever its neighbours on the machine did meanwhile. */
export interface Cost {
  /** Processor time of all threads of the server, also for who asked meanwhile. */
  readonly cpuSeconds: number;
  /** Of the machine over the last minute, of two processors. */
  readonly loadAverage: number;
}

/**
 * A house with lists that are all published, on a ledger that `fill-ledger.ts` filled.
 *
 * @param fill what follows the ledger's path
 */
export async function withHouse<T>(
  fill: readonly number[],
  shards: number,
  work: (house: BenchHouse) => Promise<T>,
): Promise<T> {
  const home = makeHome();
  let house: BenchHouse | undefined;
  try {
    await command(home, 'init');
    const config = join(home, 'birthmark.toml');
    const text = readFileSync(config, 'utf8')
      .replace(/^shards = \d+$/m, `shards = ${shards}`)
      .replace(/^#coalesceSeconds = \d+$/m, 'coalesceSeconds = 10')
      .replace(/^port = 8090$/m, 'port = 0');
    writeFileSync(config, text);
    await run(process.execPath, [FILL, join(home, 'ledger.db'), ...fill.map(String)]);
    // The first start publishes every list for the first time.
    await (await startHouse(home, WORKERS)).stop();
    house = await startHouse(home, WORKERS);
    return await work(house);
  } finally {
    await house?.stop();
    removeHome(home);
  }
}

/** Begins to measure; the function that it gives tells. */
export function costOf({ pid }: BenchHouse): () => Cost {
  const before = cpuSecondsOf(pid);
  return () => ({
    cpuSeconds: round(cpuSecondsOf(pid) - before),
    loadAverage: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
  });
}

/** utime and stime of proc(5), whose unit is a hundredth of a second on Linux. */
function cpuSecondsOf(pid: number): number {
  const [, behindName = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = behindName.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Serial numbers of certificates in the ledger, hexadecimal, from behind so many on. */
export function serialsOf(house: BenchHouse, behind: number, count: number): string[] {
  const db = new Database(join(house.home, 'ledger.db'), { readonly: true });
  try {
    return db
      .prepare<[number, number], string>(
        "SELECT hex(serial) FROM certificates WHERE authority = 'idevid' ORDER BY id LIMIT ? OFFSET ?",
      )
      .pluck()
      .all(count, behind);
  } finally {
    db.close();
  }
}

/** Asks for each of these certificates. */
export function ocspRequests(house: BenchHouse, serials: readonly string[]): Buffer[] {
  const pem = readFileSync(join(house.home, 'pki', 'idevid.pem'), 'utf8');
  const { subject, spki } = parseCertificate(parsePem(pem, ['CERTIFICATE'], 'idevid')).tbs;
  const issuer = certIdIssuer({ name: subject, spki }, 'sha1', 'null');
  return serials.map((serial) =>
    encodeOcspRequest(encodeCertId(issuer, Buffer.from(serial, 'hex')), undefined),
  );
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
