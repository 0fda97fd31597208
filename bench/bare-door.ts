import { generateKeyPairSync, sign } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import Fastify from 'fastify';
import { parseBase64 } from '../src/core/bytes.ts';
import { parseCsr, verifyPossession } from '../src/x509/csr.ts';

/**
 * `node bare-door.ts FILE COUNT`: the least that a door of this runtime does for a device that comes by itself: a request of its own
 * by `inject`, its CSR read and verified, a certificate's octets signed, and an answer of the size of ours. No ledger, no rule, no path.
 * Prints the rate and the processor time of each as JSON.
 */
const [file = '', count = '0'] = process.argv.slice(2);
const TOGETHER = 512;
const CERTIFICATE_OCTETS = 480;
const CHAIN_PEM_OCTETS = 1700;

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const chain = 'A'.repeat(CHAIN_PEM_OCTETS);
const app = Fastify();
app.post<{ Body: { csr: string } }>('/enroll', async (request) => {
  const csr = parseCsr(parseBase64(request.body.csr, 'csr'));
  verifyPossession(csr);
  const tbs = Buffer.alloc(CERTIFICATE_OCTETS, csr.spki);
  const signature = sign('sha256', tbs, privateKey);
  return { certificate: Buffer.concat([tbs, signature]).toString('base64'), chain };
});
await app.ready();

async function enroll(csr: string, leaf: string): Promise<void> {
  const injected: Promise<{ statusCode: number; body: string }> = app.inject({
    method: 'POST',
    url: '/enroll',
    headers: { 'content-type': 'application/json', 'x-leaf': leaf },
    payload: { csr, profile: 'ldevid' },
  });
  const { statusCode, body } = await injected;
  if (statusCode !== 200) throw new Error(body);
}

const csrs: string[] = [];
for await (const line of createInterface({ input: createReadStream(file) })) {
  csrs.push(JSON.parse(line).csr);
  if (csrs.length === Number(count)) break;
}
const leaf = 'A'.repeat(Math.ceil((CERTIFICATE_OCTETS * 4) / 3));
const cpu = process.cpuUsage();
const begun = performance.now();
const under = new Set<Promise<void>>();
for (const csr of csrs) {
  const job = enroll(csr, leaf).finally(() => under.delete(job));
  under.add(job);
  if (under.size >= TOGETHER) await Promise.race(under);
}
await Promise.all(under);
const seconds = (performance.now() - begun) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ rate: csrs.length / seconds, cpuMs: (user + system) / 1000 / csrs.length }));
await app.close();
