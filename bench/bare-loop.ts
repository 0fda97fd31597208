import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

/**
 * `node bare-loop.ts SECONDS`: the least that issuance costs on this runtime: import a CSR's key, verify its signature,
 * sign. Prints rounds a second, `der` with the key imported from the DER that a CSR holds, `pem` with the detour over
 * PEM text, which is faster on Node 24. Alternates between the two, so that noise hits both.
 */
const seconds = Number(process.argv[2] ?? '3');
const ROUNDS = 50;

const device = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const info = Buffer.alloc(200, 7);
const tbs = Buffer.alloc(550, 9);
const signature = sign('sha256', info, device.privateKey);
const spki = device.publicKey.export({ type: 'spki', format: 'der' });

const fromDer = () => createPublicKey({ key: spki, format: 'der', type: 'spki' });
const fromPem = () =>
  createPublicKey(`-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----`);

function nanoseconds(importKey: () => KeyObject): number {
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < ROUNDS; i += 1) {
    if (!verify('sha256', info, importKey(), signature)) throw new Error('the signature does not verify');
    sign('sha256', tbs, authority);
  }
  return Number(process.hrtime.bigint() - startedAt);
}

const spent = { der: 0, pem: 0 };
let turns = 0;
const endAt = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9));
while (process.hrtime.bigint() < endAt) {
  spent.der += nanoseconds(fromDer);
  spent.pem += nanoseconds(fromPem);
  turns += 1;
}
const rate = (total: number) => (turns * ROUNDS * 1e9) / total;
console.log(JSON.stringify({ der: rate(spent.der), pem: rate(spent.pem) }));
