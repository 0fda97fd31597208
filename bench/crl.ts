import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { parseCertificate } from '../src/x509/certificate.ts';
import { certIdIssuer } from '../src/x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../src/x509/ocsp-request.ts';
import { parsePem } from '../src/x509/pem.ts';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from './house.ts';
import { probe, type Waits } from './probe.ts';
import { median, percentile } from './statistics.ts';

const run = promisify(execFile);
const FILL = fileURLToPath(new URL('fill-ledger.ts', import.meta.url));
const LIMIT = fileURLToPath(new URL('crl-limit.ts', import.meta.url));
/** The one process publishes and serves: the hardest for who asks meanwhile. */
const WORKERS = 1;
const ENTRIES = 1_000_000;
const SHARD_ENTRIES = 1000;
const FLEET = { shards: 64, good: 200 };
const REVOCATIONS = 60;
const ACT = 100_000;

export interface CrlResult {
  /** A full list of a million entries, published by a server that serves. */
  readonly full: {
    readonly entries: number;
    readonly octets: number;
    readonly seconds: number;
    /** Reading the rows, and hashing and signing as many octets, in a process of its own that does nothing else. */
    readonly limitSeconds: number;
    readonly ratio: number;
    /** Above what the process had before. */
    readonly memoryMiB: number;
    /** Of other doors meanwhile: health, OCSP, a shard. */
    readonly doors: Waits;
  };
  /** One revocation, from the request to the answer: recorded, audited, in a shard of 1,000 entries and in the delta. */
  readonly one: {
    readonly shardEntries: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    /** In a fleet of twice the devices, shards and revoked certificates. */
    readonly twiceP50Ms: number;
    readonly ratio: number;
  };
  /** One act, from the command to its end, all in their lists. */
  readonly act: { readonly revoked: number; readonly seconds: number; readonly ocsp: Waits };
}

export async function benchCrl(say: (text: string) => void): Promise<CrlResult> {
  const full = await benchFull(say);
  const one = await benchOne(say);
  return { full, one, act: await benchAct(say) };
}

async function withHouse<T>(
  fill: readonly number[],
  shards: number,
  work: (house: BenchHouse) => Promise<T>,
): Promise<T> {
  const home = makeHome();
  let house: BenchHouse | undefined;
  try {
    await command(home, 'init');
    const config = join(home, 'birthmark.toml');
    const text = readFileSync(config, 'utf8').replace(/^shards = \d+$/m, `shards = ${shards}`);
    writeFileSync(config, text.replace(/^#coalesceSeconds = \d+$/m, 'coalesceSeconds = 10'));
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

async function benchFull(say: (text: string) => void): Promise<CrlResult['full']> {
  return withHouse([ENTRIES + 1000, ENTRIES, 64, 10_000], 64, async (house) => {
    say(`${ENTRIES} entries are in a ledger`);
    await sleep(12_000);
    const idle = house.memoryMiB();
    let most = idle;
    const sampling = setInterval(() => {
      most = Math.max(most, house.memoryMiB());
    }, 50);
    const [good = '', ...others] = serialsOf(house, ENTRIES, 300);
    const doors = [
      { url: `${house.public}/healthz` },
      { url: `${house.public}/ocsp`, bodies: ocspRequests(house, others) },
      { url: `${house.public}/crl/ldevid/3.crl` },
    ];
    const tag = await tagOf(house);
    await house.command('revoke', '--serial', good, '--reason', 'superseded');
    // From here on the full list is due.
    const asking = probe(doors);
    while ((await tagOf(house)) === tag) await sleep(100);
    const milliseconds = await publishedIn(house);
    const waits = await asking.stop();
    clearInterval(sampling);
    const seconds = milliseconds / 1000;
    const octets = Number((await headOf(house)).get('content-length'));
    const { stdout } = await run(process.execPath, [LIMIT, join(house.home, 'ledger.db'), String(octets)]);
    const { readSeconds, signSeconds }: { readSeconds: number; signSeconds: number } = JSON.parse(stdout);
    const limitSeconds = readSeconds + signSeconds;
    say(`full list in ${seconds} s, ${Math.round(most - idle)} MiB`);
    return {
      entries: ENTRIES,
      octets,
      seconds,
      limitSeconds: round(limitSeconds),
      ratio: round(limitSeconds / seconds),
      memoryMiB: Math.round(most - idle),
      doors: waits,
    };
  });
}

async function benchOne(say: (text: string) => void): Promise<CrlResult['one']> {
  const { shards, good } = FLEET;
  const revoked = (times: number) => shards * times * SHARD_ENTRIES;
  const fleet = (times: number) => [revoked(times) + good, revoked(times), shards * times, 10_000];
  return withHouse(fleet(1), shards, (small) =>
    withHouse(fleet(2), 2 * shards, async (large) => {
      const times: { small: number; large: number }[] = [];
      const [ofSmall, ofLarge] = [revokerOf(small, revoked(1)), revokerOf(large, revoked(2))];
      for (let at = 0; at < REVOCATIONS + 10; at += 1) {
        const pair = { small: await ofSmall(), large: await ofLarge() };
        // The first ones warm up.
        if (at >= 10) times.push(pair);
      }
      const ofN = times.map((pair) => pair.small);
      const of2N = times.map((pair) => pair.large);
      say(`one revocation: ${median(ofN).toFixed(1)} ms, ${median(of2N).toFixed(1)} ms in twice the fleet`);
      return {
        shardEntries: SHARD_ENTRIES,
        p50Ms: round(median(ofN)),
        p99Ms: round(percentile(ofN, 99)),
        twiceP50Ms: round(median(of2N)),
        ratio: round(median(of2N) / median(ofN)),
      };
    }),
  );
}

/** Revokes the next good certificate through the API; gives the milliseconds until the answer. */
function revokerOf(house: BenchHouse, revoked: number): () => Promise<number> {
  const serials = serialsOf(house, revoked, FLEET.good);
  return async () => {
    const serial = serials.shift() ?? '';
    const startedAt = performance.now();
    const { published }: { published: boolean } = JSON.parse(
      await callSocket(house, '/api/v1/revocations', { by: { serial }, reason: 'superseded' }),
    );
    if (!published) throw new Error('a revocation was not published');
    return performance.now() - startedAt;
  };
}

async function benchAct(say: (text: string) => void): Promise<CrlResult['act']> {
  return withHouse([ACT + 1000, 0, 64, ACT], 64, async (house) => {
    const asking = probe([
      { url: `${house.public}/ocsp`, bodies: ocspRequests(house, serialsOf(house, ACT, 500)) },
    ]);
    await sleep(500);
    const startedAt = performance.now();
    const text = await house.command('revoke', '--batch', 'batch-0', '--reason', 'superseded', '--json');
    const seconds = (performance.now() - startedAt) / 1000;
    const ocsp = await asking.stop();
    const { changed, published }: { changed: number; published: boolean } = JSON.parse(text);
    if (changed !== ACT || !published) throw new Error(`the act ended with ${text}`);
    say(`${changed} revoked in ${seconds.toFixed(1)} s, OCSP p99 ${ocsp.p99Ms} ms`);
    return { revoked: changed, seconds: round(seconds), ocsp };
  });
}

/** Serial numbers of certificates in the ledger, hexadecimal, from behind so many on. */
function serialsOf(house: BenchHouse, behind: number, count: number): string[] {
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

function ocspRequests(house: BenchHouse, serials: readonly string[]): Buffer[] {
  const pem = readFileSync(join(house.home, 'pki', 'idevid.pem'), 'utf8');
  const { subject, spki } = parseCertificate(parsePem(pem, ['CERTIFICATE'], 'idevid')).tbs;
  const issuer = certIdIssuer({ name: subject, spki }, 'sha1', 'null');
  return serials.map((serial) =>
    encodeOcspRequest(encodeCertId(issuer, Buffer.from(serial, 'hex')), undefined),
  );
}

async function headOf(house: BenchHouse): Promise<Headers> {
  const headers = { 'accept-encoding': 'identity' };
  return (await fetch(`${house.public}/crl/idevid.crl`, { method: 'HEAD', headers })).headers;
}

async function tagOf(house: BenchHouse): Promise<string | null> {
  return (await headOf(house)).get('etag');
}

/** Milliseconds that upkeep took for the lists that it published last, which it logs when all is done. */
async function publishedIn(house: BenchHouse): Promise<number> {
  for (;;) {
    const last = [...house.log().matchAll(/"milliseconds":(\d+)/g)].at(-1)?.[1];
    if (last !== undefined) return Number(last);
    await sleep(50);
  }
}

/** Asks the server as commands do. */
function callSocket(house: BenchHouse, path: string, body: object): Promise<string> {
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const socketPath = join(house.home, 'birthmark.sock');
    const sent = request({ socketPath, path, method: 'POST', headers }, (answer) => {
      let got = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece: string) => {
        got += piece;
      });
      answer.once('end', () => {
        if (answer.statusCode === 200) resolve(got);
        else reject(new Error(`${path} answered ${answer.statusCode}: ${got}`));
      });
    });
    sent.once('error', reject);
    sent.end(text);
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
