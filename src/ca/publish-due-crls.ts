import type { Clock } from '../core/clock.ts';
import type { Authority } from './authority.ts';
import { chooseBase, endOfListing, hasIdp, LARGE, MOST_BEHIND } from './crl/base.ts';
import type { PublishedCrl } from './crl/ports.ts';
import type { CrlRoom } from './crl/room.ts';
import {
  type CrlOrder,
  type CrlScope,
  DELTA,
  FULL,
  keyOf,
  scopeOfCertificate,
  scopesOf,
} from './crl/scope.ts';
import { publishCrls } from './publish-crls.ts';

/** A clock may be behind that of the process that published by so much. */
const FUTURE_MS = 1000;

export interface DueOptions {
  /** Statuses are changing right now: an act publishes what it touched, once, so that is not done for it before its end. */
  readonly acting?: boolean;
}

/** So long an act may keep lists from being published for it. */
const ACT_MS = 30_000;

/**
 * Publishes each list that is missing, past half of its time, dated in the future, or does not tell the last change: a
 * full list of many entries no more often than the policy says, every other one at once.
 *
 * @returns how many were published
 */
export async function publishDueCrls(
  room: CrlRoom,
  now: number,
  { acting = false }: DueOptions = {},
): Promise<number> {
  const due = await findDue(room, now, acting);
  const published = due.length > 0 ? await publishCrls(due, room, now) : 0;
  // The first full list of all is what the first delta starts from.
  const deltas = await findDueDeltas(room, now, acting);
  return published + (deltas.length > 0 ? await publishCrls(deltas, room, now) : 0);
}

async function findDue(room: CrlRoom, now: number, acting: boolean): Promise<readonly CrlOrder[]> {
  const { ledger, authorities, policy } = room;
  const due = new Map<string, CrlOrder>();
  const add = (order: CrlOrder) => due.set(keyOf(order), order);
  for (const authority of authorities.values()) {
    const { name } = authority;
    const published = new Map((await ledger.read.listCrls(name)).map((crl) => [crl.scope, crl]));
    for (const scope of new Set([...scopesOf(authority, policy.shards), ...published.keys()])) {
      if (scope === DELTA || !isDue(published.get(scope), now)) continue;
      add({ authority: name, scope, ...(scope === FULL && { asBase: 'also' }) });
    }
    const full = published.get(FULL);
    if (acting && full && now < full.thisUpdate + policy.coalesceMs) continue;
    if (await isOutgrown(authority, full, room, now)) add({ authority: name, scope: FULL, asBase: 'only' });
  }
  for (const stale of await ledger.read.listStaleCrls()) {
    const coalesces = stale.scope === FULL && authorities.get(stale.authority)?.isRoot === false;
    const waits = coalesces
      ? now >= stale.thisUpdate &&
        now < Math.max(stale.thisUpdate, acting ? stale.untoldSince : 0) + policy.coalesceMs
      : acting && now < stale.untoldSince + ACT_MS;
    if (!waits && stale.scope !== DELTA && !due.has(keyOf(stale))) add(stale);
  }
  return [...due.values()].map(({ authority, scope, asBase }) => ({
    authority,
    scope,
    ...(asBase && { asBase }),
  }));
}

function isDue(crl: PublishedCrl | undefined, now: number): boolean {
  return !crl || now >= (crl.thisUpdate + crl.nextUpdate) / 2 || crl.thisUpdate > now + FUTURE_MS;
}

/** Whether the next full list should be the one that deltas start from: there is none yet, or much came behind it. */
async function isOutgrown(
  { name }: Authority,
  full: PublishedCrl | undefined,
  { ledger, policy }: CrlRoom,
  now: number,
): Promise<boolean> {
  const base = chooseBase(await ledger.read.listCrlBases(name), policy, now);
  if (!base) return true;
  const behind = await ledger.read.countBehind(base, endOfListing(full, policy, now), MOST_BEHIND + 1);
  return behind > MOST_BEHIND;
}

/** Behind the full lists, with which most deltas came. */
async function findDueDeltas(
  { ledger, authorities, policy }: CrlRoom,
  now: number,
  acting: boolean,
): Promise<CrlOrder[]> {
  const untold = await ledger.read.listStaleCrls();
  const stale = new Set(
    untold.filter(({ untoldSince }) => !acting || now >= untoldSince + ACT_MS).map(keyOf),
  );
  const orders: CrlOrder[] = [];
  for (const { name: authority } of authorities.values()) {
    const base = chooseBase(await ledger.read.listCrlBases(authority), policy, now);
    if (!base) continue;
    const delta = await ledger.read.findCrlFacts(authority, DELTA);
    const order = { authority, scope: DELTA };
    if (delta && delta.idp === hasIdp(policy) && !isDue(delta, now) && !stale.has(keyOf(order))) continue;
    // Lists of one time have one number, and a delta's is greater than its base's (RFC 5280 §5.2.3, §5.2.4): a base of this
    // second is followed by another full list, of the delta's number. A large one is not: it took longer than a second.
    const full = await ledger.read.findCrlFacts(authority, FULL);
    const together = !delta && base.thisUpdate > now - 1000 && (full?.size ?? 0) < LARGE;
    orders.push(together ? { authority, scope: FULL } : order);
  }
  return orders;
}

/** What an act changed. */
export interface Touched {
  /** The certificates' places; `all`: too many to tell. */
  readonly places: readonly { readonly authority: string; readonly shard: number }[] | 'all';
  readonly changed: number;
}

/**
 * Publishes what must tell of an act before it is answered: the lists that the certificates name, and deltas. A delta
 * that others' acts made large is left to `publishDueCrls`, so that it costs this act nothing. Another process may have
 * published an older state meanwhile, so it is looked at again.
 *
 * @returns whether the lists that the certificates name tell it
 */
export async function publishTouchedCrls(
  { places, changed }: Touched,
  room: CrlRoom,
  clock: Clock,
): Promise<boolean> {
  const { ledger, authorities } = room;
  const named = places === 'all' ? undefined : places.map((place) => scopeOfCertificate(place, authorities));
  const wanted = named && new Set(named.map(keyOf));
  const touched = named && new Set(named.map(({ authority }) => authority));
  const isNamed = (stale: CrlScope) =>
    wanted ? wanted.has(keyOf(stale)) : stale.scope !== FULL || authorities.get(stale.authority)?.isRoot;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const all = await ledger.read.listStaleCrls();
    const stale: CrlScope[] = all.filter((one) => one.scope !== DELTA && isNamed(one));
    for (const one of all)
      if (one.scope === DELTA && (touched?.has(one.authority) ?? true) && (await fits(one))) stale.push(one);
    if (stale.length === 0) return true;
    const orders = stale.map(({ authority, scope }) => ({ authority, scope }));
    await publishCrls(orders, room, clock());
  }
  return false;

  async function fits({ authority }: CrlScope): Promise<boolean> {
    const now = clock();
    const base = chooseBase(await ledger.read.listCrlBases(authority), room.policy, now);
    if (!base) return false;
    if (!touched) return true;
    const most = MOST_BEHIND + changed;
    const full = await ledger.read.findCrlFacts(authority, FULL);
    return (await ledger.read.countBehind(base, endOfListing(full, room.policy, now), most + 1)) <= most;
  }
}
