import { openTrust } from '../src/x509/path/trust.ts';
import { validatePath } from '../src/x509/path/validate-path.ts';
import { makeAuthority, makeCertificate, NOW } from '../test/x509/path/make-certificate.ts';
import { makeSlowChains } from '../test/x509/path/slow-chains.ts';
import { measureVerification } from './limits.ts';
import { median } from './statistics.ts';
import { benchGate, type GateResult } from './verify-gate.ts';

const LEAVES = 200;
const ROUNDS = 9;
const ROUND_MS = 1000;

export interface VerifyResult {
  /** Leaves a second on one core, each judged whole (RFC 5280 §6) under a known intermediate that it brings along. */
  readonly rate: number;
  /** P-256 verifications a second by `openssl speed` on one core. */
  readonly limit: number;
  /** Of the same round, the median over the rounds. */
  readonly ratio: number;
  /** Of a hundred chains that were built to be slow, milliseconds: the slowest and the median. */
  readonly slowestMs: number;
  readonly slowMedianMs: number;
  readonly gate: GateResult;
}

/** Path validation, interleaved with the limit; and how long the worst take that we could think of. */
export async function benchVerify(say: (text: string) => void): Promise<VerifyResult> {
  const root = makeAuthority({ cn: 'root' });
  const issuer = makeAuthority({ cn: 'CA', issuer: root });
  const leaves = Array.from({ length: LEAVES }, () => makeCertificate({ issuer }).der);
  const trust = openTrust({ anchors: [root.der], intermediates: [issuer.der] });
  const judgeAll = () => {
    for (const leaf of leaves) {
      const input = {
        trust,
        at: NOW,
        purpose: 'clientAuth',
        untrusted: [issuer.der],
        possessionProven: true,
      } as const;
      const { reason, detail } = validatePath(leaf, input);
      if (reason !== 'ok') throw new Error(detail);
    }
  };
  for (let warmUp = 0; warmUp < 50; warmUp += 1) judgeAll();
  const rounds: { rate: number; limit: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = await measureVerification(1);
    const startedAt = performance.now();
    let judged = 0;
    for (; performance.now() - startedAt < ROUND_MS; judged += LEAVES) judgeAll();
    const rate = (judged * 1000) / (performance.now() - startedAt);
    const limit = (before + (await measureVerification(1))) / 2;
    say(`${Math.round(rate)} a second, limit ${Math.round(limit)}`);
    rounds.push({ rate, limit });
  }
  const slow = slowTimes(say);
  return {
    rate: Math.round(median(rounds.map(({ rate }) => rate))),
    limit: Math.round(median(rounds.map(({ limit }) => limit))),
    ratio: Number(median(rounds.map(({ rate, limit }) => rate / limit)).toFixed(3)),
    slowestMs: Number(Math.max(...slow).toFixed(1)),
    slowMedianMs: Number(median(slow).toFixed(1)),
    gate: await benchGate(say),
  };
}

/** Each chain is given three times, to a trust that has never seen it, and its best time counts: the rest is neighbours. */
function slowTimes(say: (text: string) => void): number[] {
  return makeSlowChains().map(({ what, anchors, untrusted, leaf }) => {
    const times = Array.from({ length: 3 }, () => {
      const trust = openTrust({ anchors });
      const startedAt = performance.now();
      validatePath(leaf, { trust, untrusted, at: NOW, purpose: 'clientAuth' });
      return performance.now() - startedAt;
    });
    const best = Math.min(...times);
    if (best > 25) say(`${best.toFixed(1)} ms: ${what}`);
    return best;
  });
}
