import { backoffMs } from '../../../src/agent/backoff.ts';
import { planRenewal } from '../../../src/agent/plan-renewal.ts';
import type { Timekeeper } from '../../../src/agent/timekeeper.ts';
import { DAY_MS, newKey } from '../../house.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { Chance } from './chance.ts';
import type { Credential } from './credential.ts';
import type { DeviceTrust, TrustRoom } from './device-trust.ts';
import { count, type Tally } from './faults.ts';
import type { Answer, Issued, Span, World } from './world.ts';

/** How often what goes wrong on the way to a new certificate. */
const CRASHES = 0.02;
const LOST_ANSWERS = 0.05;
/** Of both: the key did not survive it. */
const KEYS_LOST = 0.3;
/** Some have two programs, of which one is a moment late. */
const BOTH_IN_USE = 0.05;

/** A device with a firmware that obeys the rules: it keeps what works until something else does. */
export interface SimDevice {
  readonly name: string;
  readonly idevid: Credential;
  readonly isMute: boolean;
  readonly time: Timekeeper;
  readonly off: Span[];
  /** What it connects with. */
  current: Credential | undefined;
  /** By its own clock. */
  renewAt: number;
  /** Newer, and not tried yet. */
  candidate: Issued | undefined;
  /** Written down before it was sent anywhere. */
  pendingKey: SampleKey | undefined;
  trust: DeviceTrust;
  /** CAs that it has seen a certificate of, as it was judged. */
  readonly issuers: Set<string>;
  /** It may have missed a call for renewal. */
  asksWindow: boolean;
  failures: number;
  /** Somebody else has, or had, a key of its own. */
  stolen: boolean;
  /** When it was let in last. */
  letInAt: number;
  /** Counts what it is about to do next: what was planned before is off. */
  turn: number;
}

/** What was wrong when a device looked. */
export interface Finding {
  readonly name: string;
  readonly at: string;
  readonly what: string;
}

export interface Life {
  readonly world: World;
  readonly chance: Chance;
  readonly trustRoom: TrustRoom;
  readonly tally: Tally;
  readonly findings: Finding[];
}

/**
 * A device looks after itself: it tries what is new, connects, comes back by what it was born with where nothing else works, and
 * renews when it is time.
 *
 * @returns how long it sleeps, at most a day
 */
export async function wake(device: SimDevice, life: Life): Promise<number> {
  const { world, chance } = life;
  tryCandidate(device, life);
  const { current } = device;
  const reason = current ? world.gates.connect(current, device.name, device.isMute) : 'none';
  if (current && reason === 'ok') {
    device.letInAt = world.now();
    await lookAround(device, current, life);
    if (device.time.now() >= device.renewAt) await ask(device, life, current, 'renew');
  } else {
    if (reason !== 'none' && !device.stolen) judge(device, reason, life);
    await comeBack(device, life, reason);
  }
  if (device.candidate) tryCandidate(device, life);
  if (device.failures === 0) return Math.min(DAY_MS, Math.max(device.renewAt - device.time.now(), 60_000));
  const remainingMs = device.current ? device.current.notAfter - device.time.now() : 0;
  const random = () => Uint8Array.from({ length: 4 }, () => Math.floor(chance.next() * 256));
  return backoffMs(device.failures, { random, remainingMs });
}

function tryCandidate(device: SimDevice, { world, chance, tally }: Life): void {
  const { candidate, current, name, isMute } = device;
  if (!candidate) return;
  device.candidate = undefined;
  if (world.gates.connect(candidate.credential, name, isMute) !== 'ok') return;
  if (isMute) count(tally, 'gate that never reports');
  if (current && chance.happens(BOTH_IN_USE) && world.gates.connect(current, name, isMute) === 'ok')
    count(tally, 'both credentials in use');
  device.current = candidate.credential;
  device.renewAt = planRenewal(candidate.credential.certificate, candidate.window);
  device.letInAt = world.now();
}

/** Takes over what is new of CA certificates; asks whether somebody calls, where it cannot have heard. */
async function lookAround(device: SimDevice, current: Credential, life: Life): Promise<void> {
  const { world } = life;
  if (!world.up) {
    device.asksWindow = true;
    return;
  }
  hear(device, life);
  if (!device.asksWindow) return;
  const window = await world.windowOf(current);
  if (window) device.renewAt = planRenewal(current.certificate, window);
  device.asksWindow = false;
}

/** What every answer of the authority has. */
function hear(device: SimDevice, { world, trustRoom, tally }: Life): void {
  device.time.heard(world.now(), Number.POSITIVE_INFINITY);
  const trust = trustRoom.refresh(device.trust, world.caCertificates(), world.now());
  if (trust === device.trust) return;
  if (device.trust.intermediates.length > 0) count(tally, 'new trust taken over');
  device.trust = trust;
}

/** A credential that ended is excused only where no system could have renewed it. */
function judge(device: SimDevice, reason: string, { world, findings, tally }: Life): void {
  const { current, off, name } = device;
  if (reason === 'expired' && current) {
    const away = [...off, ...world.outages];
    if (isCovered(Math.min(device.renewAt, current.notAfter - 1), current.notAfter, away)) {
      count(tally, 'expired without any chance to renew');
      return;
    }
  }
  const told = JSON.stringify({
    renewAt: device.renewAt,
    ends: current?.notAfter,
    off,
    outages: world.outages,
    failures: device.failures,
  });
  findings.push({ name, at: when(world), what: `has nothing that works: ${reason} ${told}` });
}

/** Whether these spans leave no gap between two times. */
export function isCovered(from: number, until: number, spans: readonly Span[]): boolean {
  let covered = from;
  for (const span of spans.toSorted((a, b) => a.from - b.from))
    if (span.from <= covered) covered = Math.max(covered, span.until);
  return covered >= until;
}

/** By the old certificate within the grace, or by the IDevID and a new key. */
async function comeBack(device: SimDevice, life: Life, reason: string): Promise<void> {
  const { world, tally, findings } = life;
  const { current } = device;
  // Before it enrolls for the first time it asks who certifies here (RFC 7030 §4.1).
  if (world.up && device.trust.intermediates.length === 0) hear(device, life);
  if (current && reason === 'expired') {
    const answer = await ask(device, life, current, 'renew');
    if (isOnTheWay(answer)) return;
    if (typeof answer !== 'string') {
      count(tally, 'back by the certificate that ended');
      return;
    }
  }
  const answer = await ask(device, life, device.idevid, 'enroll');
  if (isOnTheWay(answer)) return;
  if (typeof answer === 'string')
    findings.push({ name: device.name, at: when(world), what: `its IDevID was refused: ${answer}` });
  else if (current) count(tally, 'back by the IDevID');
}

function isOnTheWay(answer: Answer | 'lost'): boolean {
  return answer === 'unreachable' || answer === 'lost';
}

/** Asks for a certificate; on the way it may crash, and the answer may be lost. The same key asks again. */
async function ask(
  device: SimDevice,
  life: Life,
  by: Credential,
  way: 'enroll' | 'renew',
): Promise<Answer | 'lost'> {
  const { world, chance, tally } = life;
  const key = device.pendingKey ?? newKey();
  device.pendingKey = key;
  device.failures += 1;
  const fail = (fault: 'answer lost' | 'crash between the new key and the new certificate') => {
    count(tally, fault);
    if (chance.happens(KEYS_LOST)) {
      count(tally, 'key lost');
      device.pendingKey = undefined;
    }
    return 'lost' as const;
  };
  if (chance.happens(CRASHES)) return fail('crash between the new key and the new certificate');
  const answer = await world[way](by, key);
  if (answer === 'unreachable') {
    count(tally, 'door out of reach');
    device.asksWindow = true;
    return answer;
  }
  if (chance.happens(LOST_ANSWERS)) return fail('answer lost');
  device.pendingKey = undefined;
  if (typeof answer !== 'string') take(device, life, answer);
  return answer;
}

/** The CA that issued it may be newer than what the device knows: then it asks for CA certificates first (as the agent's `obtain`). */
function take(device: SimDevice, life: Life, answer: Issued): void {
  const { trustRoom, tally, findings, world } = life;
  const { issuer, credential } = answer;
  const of = Buffer.from(issuer ?? []).toString('base64');
  device.time.hasBeen(credential.notBefore);
  const takes = () => trustRoom.takes(credential, device.idevid, device.trust, world.now());
  if (!device.issuers.has(of)) {
    if (!takes()) {
      if (device.issuers.size > 0) count(tally, 'certificate of a generation that it did not know');
      hear(device, life);
      if (!takes()) {
        findings.push({ name: device.name, at: when(world), what: 'it cannot trust its new certificate' });
        return;
      }
    }
    device.issuers.add(of);
  }
  device.time.heard(world.now(), Number.POSITIVE_INFINITY);
  device.failures = 0;
  device.candidate = answer;
}

function when(world: World): string {
  return new Date(world.now()).toISOString();
}
