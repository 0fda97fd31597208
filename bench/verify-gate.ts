import { randomBytes } from 'node:crypto';
import { createDecider } from '../src/broker-auth/decide.ts';
import { type CredentialJudgeOptions, createCredentialJudge } from '../src/broker-auth/judge-credential.ts';
import { parsePolicy } from '../src/broker-auth/parse-policy.ts';
import { StatusTable } from '../src/broker-auth/status/status-table.ts';
import { tableSource } from '../src/broker-auth/status/table-source.ts';
import { toHex } from '../src/core/bytes.ts';
import { createSteadyClock } from '../src/core/steady-clock.ts';
import { encodeName } from '../src/x509/name.ts';
import { openTrust } from '../src/x509/path/trust.ts';
import { validatePath } from '../src/x509/path/validate-path.ts';
import { keyIdentifier } from '../src/x509/public-key.ts';
import { makeAuthority, makeCertificate, NOW } from '../test/x509/path/make-certificate.ts';
import { median, percentile } from './statistics.ts';

const DEVICES = 200;
const REVOKED = 1_000_000;
const ROUNDS = 9;
const ROUND_MS = 500;
const DECISIONS = 20_000;

export interface GateResult {
  /** Verdicts in a second of processor time for certificates that were seen before, their status asked for each time. */
  readonly seenRate: number;
  /** The gate's whole validation, status and all, against path validation alone in the same round: 1 is as fast. */
  readonly withStatusRatio: number;
  /** A whole decision on a CONNECT with so many revoked certificates known: never seen before, and seen. */
  readonly revokedKnown: number;
  readonly firstP99Ms: number;
  readonly seenP99Ms: number;
  /** Memory of what is known of them. */
  readonly tableMiB: number;
}

/** What the gate adds to path validation. */
export function benchGate(say: (text: string) => void): GateResult {
  const root = makeAuthority({ cn: 'root' });
  const issuer = makeAuthority({ cn: 'CA', issuer: root });
  const devices = Array.from({ length: DEVICES }, (_, at) => {
    const subject = encodeName([{ type: 'serialNumber', value: `SN-${at}` }]);
    return { clientId: `SN-${at}`, leaf: makeCertificate({ issuer, fields: { subject } }).der };
  });
  const chain = [issuer.der];
  const table = fillTable(toHex(keyIdentifier(issuer.key.spki)));
  const authorities = [root, issuer].map(({ key }) => ({
    name: 'any',
    issuerKeyId: toHex(keyIdentifier(key.spki)),
    keyHash: '',
  }));
  const header = { ...table.position, format: 'birthmark-status-snapshot', version: 1, authorities } as const;
  const times = { issuedAt: '', validUntil: '', endedBefore: '' };
  const clock = () => NOW;
  const source = tableSource(
    () => ({ header: { ...header, ...times }, table }),
    createSteadyClock(clock, clock),
  );
  const trusted = { namespace: 'own', anchors: [root.der], intermediates: chain };
  const policy = parsePolicy(
    { listeners: { mqtt: {} }, roles: [{ name: 'device', publish: ['d/${id}/#'] }] },
    [trusted],
  );
  const listener = policy.listeners.get('mqtt');
  if (!listener) throw new Error('there is no listener');
  const judge = (options: Partial<CredentialJudgeOptions> = {}) =>
    createCredentialJudge({ trust: [trusted], sources: [source], ...options });
  /** A second of processor time: what neighbours take is not counted. */
  const through = (verdict: (leaf: Uint8Array) => string) => {
    const begun = process.cpuUsage();
    let judged = 0;
    let spent = 0;
    for (; spent < ROUND_MS * 1000; judged += DEVICES) {
      for (const { leaf } of devices) if (verdict(leaf) !== 'ok') throw new Error(verdict(leaf));
      const { user, system } = process.cpuUsage(begun);
      spent = user + system;
    }
    return (judged * 1e6) / spent;
  };

  const trust = openTrust({ anchors: trusted.anchors, intermediates: chain });
  const path = {
    trust,
    at: NOW,
    purpose: 'clientAuth',
    strictPurpose: true,
    possessionProven: true,
  } as const;
  const alone = (leaf: Uint8Array) => validatePath(leaf, { ...path, untrusted: chain }).reason;
  const forgetful = judge({ remembered: 1 });
  const whole = (leaf: Uint8Array) => forgetful(leaf, chain, listener, NOW).reason;
  const remembering = judge();
  const seen = (leaf: Uint8Array) => remembering(leaf, chain, listener, NOW).reason;
  const rounds = Array.from({ length: ROUNDS }, () => {
    const [before, both, after] = [through(alone), through(whole), through(alone)];
    return { ratio: both / ((before + after) / 2), seen: through(seen) };
  });
  say(`seen before: ${Math.round(median(rounds.map((round) => round.seen)))} a second`);

  const decideWith = (judgeCredential: ReturnType<typeof judge>) => {
    const decide = createDecider({
      policy,
      judge: judgeCredential,
      hasOtherSession: () => false,
      random: (size) => randomBytes(size),
    });
    return Array.from({ length: DECISIONS }, (_, at) => {
      const { clientId = '', leaf = Buffer.alloc(0) } = devices[at % DEVICES] ?? {};
      const begun = performance.now();
      const verdict = decide(
        { listener: 'mqtt', clientId, evidence: { level: 'certificate', leaf, chain } },
        NOW,
      );
      if (!verdict.allow) throw new Error(verdict.detail);
      return performance.now() - begun;
    });
  };
  return {
    seenRate: Math.round(median(rounds.map((round) => round.seen))),
    withStatusRatio: Number(median(rounds.map(({ ratio }) => ratio)).toFixed(3)),
    revokedKnown: REVOKED,
    firstP99Ms: Number(percentile(decideWith(forgetful), 99).toFixed(3)),
    seenP99Ms: Number(percentile(decideWith(remembering), 99).toFixed(3)),
    tableMiB: Number((table.octets / 2 ** 20).toFixed(1)),
  };
}

function fillTable(issuerKeyId: string): StatusTable {
  const table = new StatusTable({ epoch: 'bench', sequence: 0 }, NOW);
  const at = new Date(NOW).toISOString();
  const serial = Buffer.alloc(16);
  const keyHash = Buffer.alloc(32);
  for (let number = 1; number <= REVOKED; number += 1) {
    serial.writeUInt32BE(number, 12);
    keyHash.writeUInt32BE(number);
    const told = { issuerKeyId, serial: `7f${serial.toString('hex')}`, keyHash: keyHash.toString('hex'), at };
    table.load({ ...told, status: 'revoked', reason: 'superseded' });
  }
  return table;
}
