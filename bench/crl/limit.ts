import { generateKeyPairSync, sign } from 'node:crypto';
import Database from 'better-sqlite3';

/**
 * `node crl-limit.ts LEDGER OCTETS`: the least that a full list costs on this runtime: read what its entries need, hash and sign
 * so many octets. Prints `{"readSeconds","signSeconds"}`.
 */
const [, , path = '', octets = ''] = process.argv;
const AT_ONCE = 1000;
const db = new Database(path, { readonly: true });
const page = db
  .prepare<[Uint8Array], readonly [string, number, string, number | null]>(
    `SELECT hex(serial), revoked_at, reason, invalidity_at FROM revocations WHERE authority = 'idevid' AND serial > ?
     ORDER BY serial LIMIT ${AT_ONCE}`,
  )
  .raw();
const startedAt = performance.now();
for (let after = ''; ; ) {
  const rows = page.all(Buffer.from(after, 'hex'));
  if (rows.length < AT_ONCE) break;
  after = rows.at(-1)?.[0] ?? '';
}
const readSeconds = (performance.now() - startedAt) / 1000;
const tbs = Buffer.alloc(Number(octets), 7);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signingAt = performance.now();
sign('sha256', tbs, privateKey);
console.log(JSON.stringify({ readSeconds, signSeconds: (performance.now() - signingAt) / 1000 }));
