// Snapshots as a real server makes them, and what can be done to them.

import { createHash } from 'node:crypto';
import { type ReadSnapshot, readSnapshot, type SnapshotRules } from '../../../src/broker-auth/index.ts';
import { sealedText } from '../../../src/broker-auth/status/wire.ts';
import { toBase64 } from '../../../src/core/bytes.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';
import type { Signer } from '../../../src/keys/signer.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import type { TestServer } from '../../server/test-server.ts';

export async function fetchSnapshot(server: TestServer): Promise<Buffer> {
  const token = await server.token('gate');
  const answer = await server.ask('GET', '/status-snapshot', { token });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return answer.raw;
}

export function rootOf(server: TestServer): Uint8Array {
  const root = server.house.authorities.get('root')?.certificate.raw;
  if (!root) throw new Error('there is no root');
  return root;
}

/** Read as a gate of that house does, in pieces that end anywhere. */
export function read(
  octets: Uint8Array,
  server: TestServer,
  rules: Partial<SnapshotRules> = {},
): Promise<ReadSnapshot> {
  const trust = openTrust({ anchors: [rootOf(server)] });
  const { now } = server.house.clock;
  const steady = createSteadyClock(now, now);
  return readSnapshot(inPieces(octets), { trust, at: now(), steady, ...rules });
}

export async function* inPieces(octets: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

/** Its content and its seal. */
export function split(octets: Buffer): { readonly content: string; readonly seal: string } {
  const end = octets.lastIndexOf('\n', octets.length - 2) + 1;
  return { content: octets.subarray(0, end).toString(), seal: octets.subarray(end).toString() };
}

/** Seals content as that signer, with those certificates. */
export async function seal(
  content: string,
  signer: Signer,
  chain: readonly Uint8Array[],
  text: (sha256: string) => Uint8Array = sealedText,
): Promise<Buffer> {
  const sha256 = createHash('sha256').update(content).digest('hex');
  const signature = toBase64(await signer.sign(text(sha256)));
  const line = { sha256, algorithm: signer.algorithm, signature, chain: chain.map(toBase64) };
  return Buffer.from(`${content}${JSON.stringify(line)}\n`);
}
