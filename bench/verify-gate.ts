import { randomBytes } from 'node:crypto';
import { loadavg } from 'node:os';
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
import { handshakeCost } from './handshake-cost.ts';
import { median, percentile } from './statistics.ts';

const DEVICES = 200;
const REVOKED = 1_000_000;
const ROUNDS = 7;
/** All devices once with each of both, in turn: what neighbours and the collector take falls on both alike. */
const TURNS = 20;
const ROUND_MS = 500;
const DECISIONS = 20_000;

export interface GateResult {
  /** Verdicts in a second of processor time for certificates that were seen before, their status asked for each time. */
  readonly seenRate: number;
  /** Processor time of path validation alone by that of the gate's whole validation, status and all: 1 is as fast. */
  readonly withStatusRatio: number;
  /** Both, in microseconds. */
  readonly aloneUs: number;
  readonly wholeUs: number;
  /** A whole first decision by the server's side of a mutual TLS handshake, and that in microseconds. */
  readonly ofHandshake: number;
  readonly handshakeUs: number;
  /** The machine's load over a minute, before and after. */
  readonly load: readonly [number, number];
  /** A whole decision on a CONNECT with so many revoked certificates known: never seen before, and seen. */
  readonly revokedKnown: number;
  readonly firstP99Ms: number;
  readonly seenP99Ms: number;
  /** Memory of what is known of them. */
  readonly tableMiB: number;
}

/** What the gate adds to path validation. */
export async function benchGate(say: (text: string) => void): Promise<GateResult> {
  const [loadBefore = 0] = loadavg();
  const handshakeUs = await handshakeCost();
  say(`a handshake takes ${Math.round(handshakeUs)} µs of the server's processor time`);
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
  // The same object each time, as a follower has it.
  const known = { header: { ...header, ...times }, table };
  const source = tableSource(() => known, createSteadyClock(clock, clock));
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
  /** Microseconds of processor time for each device. */
  const once = (verdict: (leaf: Buffer) => string) => {
    const begun = process.cpuUsage();
    for (const { leaf } of devices) if (verdict(leaf) !== 'ok') throw new Error(verdict(leaf));
    const { user, system } = process.cpuUsage(begun);
    return (user + system) / DEVICES;
  };
  for (let turn = 0; turn < 2 * TURNS; turn += 1) once(turn % 2 === 0 ? alone : whole);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const turns = Array.from({ length: TURNS }, (_, at) => {
      // Each of both goes first as often.
      if (at % 2 === 0) return { alone: once(alone), whole: once(whole) };
      const wholeFirst = once(whole);
      return { whole: wholeFirst, alone: once(alone) };
    });
    const [aloneUs, wholeUs] = [
      median(turns.map((turn) => turn.alone)),
      median(turns.map((turn) => turn.whole)),
    ];
    say(`first: ${aloneUs.toFixed(1)} µs alone, ${wholeUs.toFixed(1)} µs with its status`);
    return { aloneUs, wholeUs, seen: through(seen) };
  });
  const aloneUs = median(rounds.map((round) => round.aloneUs));
  const wholeUs = median(rounds.map((round) => round.wholeUs));
  say(`seen before: ${Math.round(median(rounds.map((round) => round.seen)))} a second`);

  const clientIds = new Map(devices.map(({ clientId, leaf }) => [leaf, clientId]));
  const openDecider = (judgeCredential: ReturnType<typeof judge>) =>
    createDecider({
      policy,
      judge: judgeCredential,
      hasOtherSession: () => false,
      random: (size) => randomBytes(size),
    });
  const deciderOf = (judgeCredential: ReturnType<typeof judge>) => {
    const decide = openDecider(judgeCredential);
    return (leaf: Buffer) => {
      const evidence = { level: 'certificate', leaf, chain } as const;
      const verdict = decide({ listener: 'mqtt', clientId: clientIds.get(leaf) ?? '', evidence }, NOW);
      return verdict.allow ? 'ok' : verdict.detail;
    };
  };
  const decideWith = (judgeCredential: ReturnType<typeof judge>) => {
    const decide = openDecider(judgeCredential);
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
  const decider = deciderOf(forgetful);
  const decisionUs = median(Array.from({ length: TURNS }, () => once((leaf) => decider(leaf))));
  return {
    seenRate: Math.round(median(rounds.map((round) => round.seen))),
    withStatusRatio: Number(median(rounds.map((round) => round.aloneUs / round.wholeUs)).toFixed(3)),
    aloneUs: Number(aloneUs.toFixed(1)),
    wholeUs: Number(wholeUs.toFixed(1)),
    ofHandshake: Number((decisionUs / handshakeUs).toFixed(3)),
    handshakeUs: Math.round(handshakeUs),
    load: [loadBefore, loadavg()[0] ?? 0],
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
