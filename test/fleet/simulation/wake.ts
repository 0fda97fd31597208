import { hash } from 'node:crypto';
import { backoffMs } from '../../../src/agent/backoff.ts';
import { momentIn } from '../../../src/agent/plan-renewal.ts';
import type { RenewalWindow } from '../../../src/fleet/renewal/window.ts';
import { DAY_MS, newKey } from '../../house.ts';
import type { Credential } from './credential.ts';
import { judge } from './judge.ts';
import type { Life, SimDevice } from './sim-device.ts';
import type { Answer, Issued, World } from './world.ts';

/** How often what goes wrong on the way to a new certificate. */
const CRASHES = 0.02;
const LOST_ANSWERS = 0.05;
/** Of both: the key did not survive it. */
const KEYS_LOST = 0.3;
/** Some have two programs, of which one is a moment late. */
const BOTH_IN_USE = 0.05;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** It connects anew after so long, if nothing made it do so before. */
export const MOST_SLEEP_MS = 2 * DAY_MS;

/**
 * A device looks after itself: it tries what is new, connects, comes back by what it was born with where nothing else works, and
 * renews when it is time.
 *
 * @returns how long it sleeps
 */
export async function wake(device: SimDevice, life: Life): Promise<number> {
  const { world, chance, chronicle } = life;
  await tryCandidate(device, life);
  const { current } = device;
  const reason = current ? world.gates.connect(current, device.name, device.isMute) : 'none';
  chronicle.note(device.name, reason);
  if (current && reason === 'ok') {
    device.letInAt = world.now();
    await lookAround(device, current, life);
    if (device.time.now() >= device.renewAt) await ask(device, life, current, 'renew');
  } else {
    if (current && !device.stolen) judge(device, current, reason, life);
    await comeBack(device, life, reason);
  }
  if (device.candidate && chance.happens(CRASHES)) {
    chronicle.count('crash between the new certificate and its first use');
    return MINUTE_MS;
  }
  await tryCandidate(device, life);
  if (device.failures === 0)
    return Math.min(MOST_SLEEP_MS, Math.max(device.renewAt - device.time.now(), MINUTE_MS));
  const remainingMs = device.current ? device.current.notAfter - device.time.now() : 0;
  const random = () => Uint8Array.from({ length: 4 }, () => Math.floor(chance.next() * 256));
  return backoffMs(device.failures, { random, remainingMs });
}

async function tryCandidate(device: SimDevice, life: Life): Promise<void> {
  const { world, chance, chronicle } = life;
  const { candidate, current, name, isMute } = device;
  if (!candidate) return;
  device.candidate = undefined;
  if (world.gates.connect(candidate.credential, name, isMute) !== 'ok') return;
  if (isMute) chronicle.count('gate that never reports');
  if (current && chance.happens(BOTH_IN_USE) && world.gates.connect(current, name, isMute) === 'ok')
    chronicle.count('both credentials in use');
  if (device.confirms) await confirm(device, life, candidate.credential);
  device.current = candidate.credential;
  device.renewAt = plannedIn(candidate.window, candidate.credential);
  device.letInAt = world.now();
  device.vain = [];
  chronicle.note(name, `has ${candidate.credential.serial}`);
}

/** Says the word on a new credential that was let in. What becomes of the word changes nothing for the device. */
async function confirm(device: SimDevice, life: Life, by: Credential): Promise<void> {
  const { world, chance, chronicle } = life;
  if (!reaches(device, life) || chance.happens(CRASHES))
    return chronicle.count('word on a new credential lost');
  await world.confirm(by);
  if (chance.happens(LOST_ANSWERS)) chronicle.count('answer to a word lost');
  device.confirmed = by;
}

/** As the agent plans it, but that the serial number draws, which is the same in each run: an ECDSA signature is not. */
function plannedIn(window: RenewalWindow, { serial }: Credential): number {
  return momentIn(window, hash('sha256', `moment of ${serial}`, 'buffer'));
}

/** Takes over what is new of CA certificates; asks whether somebody calls, where it cannot have heard. */
async function lookAround(device: SimDevice, current: Credential, life: Life): Promise<void> {
  const { world } = life;
  if (!reaches(device, life)) {
    device.asksWindow = true;
    return;
  }
  hear(device, life);
  if (!device.asksWindow) return;
  const window = await world.windowOf(current);
  if (window) device.renewAt = plannedIn(window, current);
  device.asksWindow = false;
}

/** Whether the authority is there, and the device believes that it is who it should be, whatever its clock says. */
function reaches({ name, time, trust, clock }: SimDevice, { world, trustRoom, chronicle }: Life): boolean {
  if (!world.up) return false;
  if (trustRoom.believes(world.server, trust, time.now())) return true;
  if (clock.skewMs(world.now()) > DAY_MS) chronicle.count('server not believed, by a clock a decade ahead');
  else chronicle.find(name, `does not believe the server, although its clock is right: ${time.now()}`);
  return false;
}

/** What every answer of the authority has. */
function hear(device: SimDevice, { world, trustRoom, chronicle }: Life): void {
  device.time.heard(world.now(), world.server.goodUntil);
  const trust = trustRoom.refresh(device.trust, world.caCertificates(), device.time.now());
  if (trust === device.trust) return;
  if (device.trust.intermediates.length > 0) chronicle.count('new trust taken over');
  device.trust = trust;
}

/** By the old certificate within the grace, or by the IDevID and a new key. */
async function comeBack(device: SimDevice, life: Life, reason: string): Promise<void> {
  const { chronicle } = life;
  const { current } = device;
  // Before it enrolls for the first time it asks who certifies here (RFC 7030 §4.1).
  if (device.trust.intermediates.length === 0 && reaches(device, life)) hear(device, life);
  if (current && reason === 'expired') {
    const answer = await ask(device, life, current, 'renew');
    if (isOnTheWay(answer)) return;
    if (typeof answer !== 'string') {
      chronicle.count('back by the certificate that ended');
      return;
    }
  }
  const answer = await ask(device, life, device.idevid, 'enroll');
  if (isOnTheWay(answer)) return;
  if (typeof answer === 'string') chronicle.find(device.name, `its IDevID was refused: ${answer}`);
  else if (current) chronicle.count('back by the IDevID');
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
  const { world, chance, chronicle } = life;
  const key = device.pendingKey ?? newKey();
  device.pendingKey = key;
  device.failures += 1;
  const fail = (fault: 'answer lost' | 'crash between the new key and the new certificate') => {
    chronicle.count(fault);
    chronicle.note(device.name, fault);
    if (chance.happens(KEYS_LOST)) {
      chronicle.count('key lost');
      device.pendingKey = undefined;
    }
    return inVain(device, world, 'lost');
  };
  if (chance.happens(CRASHES)) return fail('crash between the new key and the new certificate');
  if (!reaches(device, life)) {
    chronicle.count('door out of reach');
    device.asksWindow = true;
    return inVain(device, world, 'unreachable');
  }
  const answer = await world[way](by, key);
  chronicle.note(device.name, `${way}: ${typeof answer === 'string' ? answer : answer.credential.serial}`);
  if (chance.happens(LOST_ANSWERS)) return fail('answer lost');
  device.pendingKey = undefined;
  if (typeof answer !== 'string') take(device, life, answer);
  return answer;
}

/**
 * So long after a failure the agent asks again at the latest, as docs/agent.md promises: a tenth of what is left, a minute at least
 * and six hours at most.
 */
function inVain<const T>({ vain, current, time }: SimDevice, world: World, what: T): T {
  const left = current ? current.notAfter - time.now() : 0;
  const from = world.now();
  vain.push({ from, until: from + Math.min(Math.max(MINUTE_MS, left / 10), 6 * HOUR_MS) });
  return what;
}

/** The CA that issued it may be newer than what the device knows: then it asks for CA certificates first (as the agent's `obtain`). */
function take(device: SimDevice, life: Life, answer: Issued): void {
  const { trustRoom, chronicle, world } = life;
  const { credential } = answer;
  if (!Buffer.from(credential.subject).includes(device.name))
    chronicle.find(device.name, "it was given another device's certificate");
  device.time.hasBeen(credential.notBefore);
  const takes = () => trustRoom.takes(answer, device.idevid, device.trust, device.time.now());
  if (!takes()) {
    if (device.current) chronicle.count('certificate of a generation that it did not know');
    hear(device, life);
    if (!takes()) {
      chronicle.find(device.name, 'it cannot trust its new certificate');
      return;
    }
  }
  device.time.heard(world.now(), world.server.goodUntil);
  device.failures = 0;
  device.candidate = answer;
}
