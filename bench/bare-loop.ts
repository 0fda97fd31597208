import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';

/**
 * `node bare-loop.ts SECONDS`: the least that issuance costs on this runtime: import a CSR's key, verify its signature,
 * sign. Prints rounds a second. Imports keys in each way that the runtime offers and keeps to the fastest.
 */
const seconds = Number(process.argv[2] ?? '3');
const device = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const info = Buffer.alloc(200, 7);
const tbs = Buffer.alloc(550, 9);
const signature = sign('sha256', info, device.privateKey);
const spki = device.publicKey.export({ type: 'spki', format: 'der' });
const pem = device.publicKey.export({ type: 'spki', format: 'pem' });
const jwk = device.publicKey.export({ format: 'jwk' });

const imports = [
  () => createPublicKey({ key: spki, format: 'der', type: 'spki' }),
  () => createPublicKey(pem),
  () => createPublicKey({ key: jwk, format: 'jwk' }),
];

function rate(importKey: () => ReturnType<typeof createPublicKey>, forSeconds: number): number {
  let rounds = 0;
  const startedAt = process.hrtime.bigint();
  const endAt = startedAt + BigInt(Math.round(forSeconds * 1e9));
  while (process.hrtime.bigint() < endAt) {
    for (let i = 0; i < 20; i += 1) {
      if (!verify('sha256', info, importKey(), signature)) throw new Error('the signature does not verify');
      sign('sha256', tbs, authority);
    }
    rounds += 20;
  }
  return rounds / (Number(process.hrtime.bigint() - startedAt) / 1e9);
}

const warm = imports.map((importKey) => ({ importKey, rate: rate(importKey, 0.3) }));
warm.sort((a, b) => b.rate - a.rate);
const [fastest] = warm;
if (fastest) {
  const before = process.cpuUsage();
  const wall = rate(fastest.importKey, seconds);
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ rate: wall, cpuRate: (wall * seconds * 1e6) / (user + system) }));
}
