import { BirthmarkError } from '../core/errors.ts';
import type { Authority } from './authority.ts';
import { chooseBase, endOfListing, hasIdp, LARGE, MOST_BEHIND } from './crl/base.ts';
import type { CrlBase, CrlFacts, CrlMoment, PublishedCrl } from './crl/ports.ts';
import { readDeltaContent, readWholeContent } from './crl/read-content.ts';
import type { CrlRoom } from './crl/room.ts';
import { type CrlOrder, DELTA, FULL, numberedWith } from './crl/scope.ts';
import { signList } from './crl/sign-list.ts';
import { createListWriter, type ListWriter, type Publication } from './crl/write-lists.ts';

/**
 * Signs lists anew and publishes them, with a full list the delta of the same number. One that cannot be signed leaves the
 * one before in its place, and does not keep the others from being published.
 *
 * Crash order: the number is taken for good, then the ledger is read, then the list is signed and verified, then it
 * replaces the one before in one step.
 *
 * @returns how many lists were signed
 * @throws what the first that failed threw, after the others were published
 */
export async function publishCrls(orders: readonly CrlOrder[], room: CrlRoom, now: number): Promise<number> {
  if (room.publishLarge && (await areLarge(orders, room))) return room.publishLarge(orders, now);
  const failures: unknown[] = [];
  const writer = createListWriter(room, now);
  let signed = 0;
  for (const name of new Set(orders.map(({ authority }) => authority))) {
    const ofIt = orders.filter(({ authority }) => authority === name);
    const hasFull = ofIt.some(({ scope }) => scope === FULL);
    // The delta comes with the full list.
    const todo = ofIt.filter(({ scope }) => !(hasFull && scope === DELTA));
    signed += await publishOf(name, todo, room, now, writer, failures);
  }
  await writer.finish();
  if (failures.length > 0) throw failures[0];
  return signed;
}

/** Whether there is more to write than can be written beside other works. */
async function areLarge(orders: readonly CrlOrder[], { ledger }: CrlRoom): Promise<boolean> {
  for (const { authority, scope } of orders) {
    if (scope !== FULL && scope !== DELTA) continue;
    const full = await ledger.read.findCrlFacts(authority, FULL);
    if (!full) continue;
    if (scope === FULL && full.size > LARGE) return true;
    if ((await ledger.read.countBehind(full, full.endedBefore, MOST_BEHIND + 1)) > MOST_BEHIND) return true;
  }
  return false;
}

async function publishOf(
  name: string,
  orders: readonly CrlOrder[],
  room: CrlRoom,
  now: number,
  writer: ListWriter,
  failures: unknown[],
): Promise<number> {
  const { ledger } = room;
  const numbers = await ledger.write(async (tx) => {
    const taken: number[] = [];
    for (const { scope } of orders) taken.push(await tx.takeCrlNumber(name, numberedWith(scope)));
    return taken;
  });
  const before = new Map((await ledger.read.listCrls(name)).map((crl) => [crl.scope, crl]));
  const bases = await ledger.read.listCrlBases(name);
  // Behind the numbers: of two lists that are made at once, the later number may tell less, never both the same.
  return ledger.atOneMoment(async (moment) => {
    let signed = 0;
    for (const [at, order] of orders.entries()) {
      try {
        const press = { room, moment, before, bases, now, number: numbers[at] ?? 0 };
        const publication = await makePublication(order, press);
        signed += publication.lists.length;
        await writer.add(publication);
      } catch (error) {
        failures.push(error);
      }
    }
    return signed;
  });
}

interface Press {
  readonly room: CrlRoom;
  readonly moment: CrlMoment;
  /** What is published now, by scope. */
  readonly before: ReadonlyMap<string, PublishedCrl>;
  readonly bases: readonly CrlBase[];
  readonly now: number;
  readonly number: number;
}

async function makePublication(
  { authority: name, scope, asBase }: CrlOrder,
  { room, moment, before, bases, now, number }: Press,
): Promise<Publication> {
  const { authorities, policy } = room;
  const authority = authorityOf(name, authorities);
  const thisUpdate = Math.floor(now / 1000) * 1000;
  const isWhole = scope === FULL || scope === DELTA;
  const facts: CrlFacts = {
    authority: name,
    scope,
    number,
    thisUpdate,
    nextUpdate: thisUpdate + policy.validityMs,
    changes: moment.changes,
    endedBefore: endOfListing(before.get(numberedWith(scope)), policy, thisUpdate),
    idp: !isWhole || hasIdp(policy),
  };
  const base = isWhole ? chooseBase(bases, policy, now) : undefined;
  const makeDelta = async (from: CrlBase) => {
    const content = await readDeltaContent(moment, from, facts.endedBefore);
    return signList({ ...facts, scope: DELTA, base: from.number }, content, authority, room);
  };
  if (scope === DELTA) {
    if (!base)
      throw new BirthmarkError(
        'internal',
        `authority ${name} has no full list that a delta could start from`,
      );
    return { lists: [await makeDelta(base)] };
  }
  const content = await readWholeContent(moment, name, scope, facts.endedBefore);
  const whole = await signList(facts, content, authority, room);
  if (scope !== FULL) return { lists: [whole] };
  const lists = base ? [whole, await makeDelta(base)] : [whole];
  if (base && asBase === undefined) return { lists };
  const { scope: _scope, nextUpdate: _nextUpdate, ...newBase } = facts;
  const forgetBelow = asBase === 'only' || !base ? number : base.number;
  return { lists, newBase: { base: newBase, forgetBelow } };
}

function authorityOf(name: string, authorities: CrlRoom['authorities']): Authority {
  const authority = authorities.get(name);
  if (authority) return authority;
  throw new BirthmarkError('internal', `the ledger has lists of authority ${name}, which has no key here`);
}
