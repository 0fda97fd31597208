import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Certificate, parseCertificate } from '../src/x509/certificate.ts';
import { certIdIssuer } from '../src/x509/ocsp-cert-id.ts';
import { encodeCertId, encodeOcspRequest } from '../src/x509/ocsp-request.ts';
import { parsePem } from '../src/x509/pem.ts';
import { command, makeHome, removeHome, startHouse } from './house.ts';
import { median } from './statistics.ts';

const BARE = fileURLToPath(new URL('bare-http.ts', import.meta.url));
const LOAD = fileURLToPath(new URL('ocsp-load.ts', import.meta.url));
const SECONDS = 1.5;
const ROUNDS = 7;
const SERVER_CORE = '0';
const LOAD_CORE = '1';

export interface OcspRate {
  /** Answers a second of one process on one core. */
  readonly rate: number;
  readonly limit: number;
  readonly ratio: number;
  /** The same from processor time an answer, which neighbours on the machine disturb less than rates. */
  readonly processorRatio: number;
}

export interface OcspResult {
  /** The worse of the two below. Limit: a bare `node:http` server that answers a buffer of the same size. */
  readonly cached: OcspRate;
  readonly cachedGet: OcspRate;
  readonly cachedPost: OcspRate;
  /** Limit: `1 / (1/http + 1/sign)`, both of this runtime. */
  readonly nonce: OcspRate;
  /** How many such processes answer 100,000 requests a second, which Let's Encrypt planned for behind its CDN. */
  readonly processesFor100kCached: number;
}

/** One worker on one core, the load on the other; server and bare server in turn, so that noise hits both. */
export async function benchOcsp(say: (text: string) => void): Promise<OcspResult> {
  const home = makeHome();
  const stops: (() => Promise<void> | void)[] = [() => removeHome(home)];
  try {
    await command(home, 'init');
    const house = await startHouse(home, 1);
    stops.unshift(house.stop);
    execFileSync('taskset', ['-a', '-c', '-p', SERVER_CORE, String(house.pid)], { stdio: 'ignore' });
    const requests = makeRequests(home);
    const at = (mode: keyof typeof requests) => {
      const file = join(home, `${mode}.json`);
      writeFileSync(file, JSON.stringify(requests[mode].map((octets) => octets.toString('base64'))));
      return (port: string, pid = 0) => runLoad(port, file, pid);
    };
    const [get, post, nonce] = [at('get'), at('post'), at('nonce')];
    const { port } = new URL(house.public);
    const bare = await startBare((await get(port)).octets);
    stops.unshift(() => void bare.process.kill());
    const [ours, theirs] = [house.pid, bare.process.pid];
    const pairs = { get: [] as Pair[], post: [] as Pair[], nonce: [] as Pair[] };
    for (let round = 0; round <= ROUNDS; round += 1) {
      const signing = measureSigning();
      const bareGet = await get(bare.port, theirs);
      const ourGet = await get(port, ours);
      const barePost = await post(bare.port, theirs);
      const ourPost = await post(port, ours);
      const bareNonce = await nonce(bare.port, theirs);
      const ourNonce = await nonce(port, ours);
      // The first round warms up.
      if (round === 0) continue;
      pairs.get.push(toPair(ourGet, bareGet));
      pairs.post.push(toPair(ourPost, barePost));
      pairs.nonce.push(
        toPair(ourNonce, {
          ...bareNonce,
          rate: 1 / (1 / bareNonce.rate + 1 / signing.rate),
          processorMs: bareNonce.processorMs + signing.processorMs,
        }),
      );
      say(
        `round ${round}: GET ${Math.round(ourGet.rate)} of ${Math.round(bareGet.rate)}, POST ${Math.round(ourPost.rate)} of ` +
          `${Math.round(barePost.rate)}, nonce ${Math.round(ourNonce.rate)} with ${Math.round(signing.rate)} signatures/s`,
      );
    }
    const [cachedGet, cachedPost] = [toRate(pairs.get), toRate(pairs.post)];
    const cached = cachedGet.ratio < cachedPost.ratio ? cachedGet : cachedPost;
    return {
      cached,
      cachedGet,
      cachedPost,
      nonce: toRate(pairs.nonce),
      processesFor100kCached: Math.ceil(100_000 / cached.rate),
    };
  } finally {
    for (const stop of stops) await stop();
  }
}

interface Pair {
  readonly ours: number;
  readonly limit: number;
  readonly processorRatio: number;
}

function toPair(ours: Load, limit: Load): Pair {
  return { ours: ours.rate, limit: limit.rate, processorRatio: limit.processorMs / ours.processorMs };
}

function toRate(pairs: readonly Pair[]): OcspRate {
  return {
    rate: Math.round(median(pairs.map(({ ours }) => ours))),
    limit: Math.round(median(pairs.map(({ limit }) => limit))),
    ratio: thousandths(median(pairs.map(({ ours, limit }) => ours / limit))),
    processorRatio: thousandths(median(pairs.map(({ processorRatio }) => processorRatio))),
  };
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Requests for the certificates of three authorities, by both hashes. */
function makeRequests(home: string): Record<'get' | 'post' | 'nonce', Buffer[]> {
  const issuer = readCertificate(home, 'root').tbs;
  const certIds = ['idevid', 'ldevid', 'service'].flatMap((name) =>
    (['sha1', 'sha256'] as const).map((digest) =>
      encodeCertId(
        certIdIssuer({ name: issuer.subject, spki: issuer.spki }, digest, 'null'),
        readCertificate(home, name).tbs.serial,
      ),
    ),
  );
  const bodies = certIds.map((certId) => encodeOcspRequest(certId, undefined));
  return {
    get: bodies.map((body) =>
      Buffer.from(
        `GET /ocsp/${encodeURIComponent(body.toString('base64'))} HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n`,
      ),
    ),
    post: bodies.map(toPost),
    nonce: certIds.map((certId) => toPost(encodeOcspRequest(certId, randomBytes(32)))),
  };
}

function toPost(body: Buffer): Buffer {
  const head = `POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

function readCertificate(home: string, name: string): Certificate {
  return parseCertificate(
    parsePem(readFileSync(join(home, 'pki', `${name}.pem`), 'utf8'), ['CERTIFICATE'], name),
  );
}

async function startBare(octets: number): Promise<{ readonly process: ChildProcess; readonly port: string }> {
  const child = spawn('taskset', ['-c', SERVER_CORE, process.execPath, BARE, String(octets)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [piece] = await once(child.stdout, 'data');
  return { process: child, port: String(piece).trim() };
}

interface Load {
  readonly rate: number;
  readonly octets: number;
  /** Of the server, for each answer, all its threads. */
  readonly processorMs: number;
}

/** @param pid the server's */
async function runLoad(port: string, file: string, pid: number): Promise<Load> {
  const before = pid === 0 ? 0 : processorMsOf(pid);
  const load = spawn('taskset', ['-c', LOAD_CORE, process.execPath, LOAD, port, file, String(SECONDS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const piece of load.stdout) text += String(piece);
  const { count, seconds, octets }: { count: number; seconds: number; octets: number } = JSON.parse(text);
  const processorMs = pid === 0 ? 0 : (processorMsOf(pid) - before) / count;
  return { rate: count / seconds, octets, processorMs };
}

/** What its threads have run so far. Threads of Node live as long as it. */
function processorMsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(tasks).map((id) =>
    Number(readFileSync(join(tasks, id, 'schedstat'), 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1_000_000;
}

/** P-256 signatures of this runtime, over what an answer has to be signed. */
function measureSigning(): { readonly rate: number; readonly processorMs: number } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.alloc(220, 3);
  const startedAt = performance.now();
  const before = process.cpuUsage();
  let count = 0;
  for (; performance.now() - startedAt < 500; count += 1) sign('sha256', data, privateKey);
  const { user, system } = process.cpuUsage(before);
  return {
    rate: (count * 1000) / (performance.now() - startedAt),
    processorMs: (user + system) / 1000 / count,
  };
}
