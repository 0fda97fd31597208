import { newKey } from '../../house.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { Credential } from './credential.ts';
import type { Life, SimDevice } from './sim-device.ts';

/** Somebody with a copy of a device's key, and of its certificate. */
export interface Thief {
  readonly victim: SimDevice;
  readonly manner: 'quiet' | 'renews';
  /** All that he ever had. */
  readonly hoard: Credential[];
  /** For what he would like to have. */
  key: SampleKey;
  /** When the house acted against him: from then on nothing of his may get in. */
  actedAt: number | undefined;
}

export function steal(victim: SimDevice, manner: Thief['manner']): Thief {
  if (!victim.current) throw new Error(`there is nothing to steal from ${victim.name}`);
  victim.stolen = true;
  return { victim, manner, hoard: [victim.current], key: newKey(), actedAt: undefined };
}

/**
 * Tries all that he has, and to have it renewed if that is his manner.
 *
 * @returns how often he got in although the house had acted
 */
export async function tryDoors(thief: Thief, { world, chronicle }: Life): Promise<number> {
  let got = 0;
  const hasActed = thief.actedAt !== undefined;
  for (const credential of thief.hoard) {
    const reason = world.gates.connect(credential, thief.victim.name, false);
    if (!hasActed) continue;
    if (reason === 'ok') got += 1;
    else chronicle.count('thief turned away after the act');
  }
  const newest = thief.hoard.at(-1);
  // One renewal is enough for him; once the house has acted he tries for another.
  const tries = thief.manner === 'renews' && thief.hoard.length === 1;
  if (newest && (tries || hasActed)) {
    const answer = await world.renew(newest, thief.key);
    const told = typeof answer === 'string' ? answer : answer.credential.serial;
    chronicle.note(thief.victim.name, `thief: ${told}`);
    if (typeof answer !== 'string') {
      if (hasActed) got += 1;
      thief.hoard.push(answer.credential);
      thief.key = newKey();
    }
  }
  return got;
}

/**
 * The house acts by itself where it sees two with one identity: it holds what they have, or takes it back where the device came by its
 * IDevID meanwhile. From then on its thief is to be kept out.
 */
export async function noticeConflicts(thieves: readonly Thief[], { world, chronicle }: Life): Promise<void> {
  const { read } = world.house.ledger;
  const waiting = thieves.filter(({ actedAt, manner }) => actedAt === undefined && manner === 'renews');
  if (waiting.length === 0) return;
  const issued = await read.findIssued(
    waiting.map(({ hoard }) => Buffer.from(hoard.at(-1)?.serial ?? '', 'hex')),
  );
  const revocations = await read.findRevocations(issued.map((record) => record?.id ?? 0));
  // That it was superseded is no act against him.
  const found = waiting.filter(
    (_, at) => revocations[at]?.held || revocations[at]?.reason === 'keyCompromise',
  );
  for (const thief of found) {
    thief.actedAt = world.now();
    chronicle.count('thief who renews first, found');
  }
  if (found.length > 0) await world.gates.sync();
}
