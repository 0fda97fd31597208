import type { CrlBase, PublishedCrl } from './ports.ts';
import type { CrlPolicy } from './room.ts';

/**
 * More than so many changes behind its base, and a delta is no longer cheap: the next full list is made its base, and a
 * revocation does not wait for a delta that is so large by others' doing.
 */
export const MOST_BEHIND = 5000;

/** Octets of a full list that is not made beside other works, and not twice for the sake of its number. */
export const LARGE = 1024 * 1024;

/** Whether full lists and deltas are to have an issuingDistributionPoint. */
export function hasIdp({ idp }: CrlPolicy): boolean {
  return idp === 'always';
}

/**
 * The full list that a delta starts from now: the newest from which on all full lists that anybody may still use were
 * published, so that each of them goes with the delta; the oldest where there is none such yet.
 *
 * @param bases oldest first; those of another form count as another scope
 */
export function chooseBase(bases: readonly CrlBase[], policy: CrlPolicy, now: number): CrlBase | undefined {
  const usable = bases.filter(({ idp }) => idp === hasIdp(policy));
  const old = usable.filter(({ thisUpdate }) => thisUpdate <= now - policy.validityMs);
  return old.at(-1) ?? usable[0];
}

/**
 * From when on certificates must have ended to be off a list that is made now: until one was issued beyond their end
 * (RFC 5280 §3.3), also after a time without any. Never goes back.
 *
 * @param before the list that is replaced; of a delta, the full list
 */
export function endOfListing(
  before: PublishedCrl | undefined,
  { validityMs }: CrlPolicy,
  thisUpdate: number,
): number {
  return Math.max(before?.endedBefore ?? 0, Math.min(thisUpdate - validityMs, before?.thisUpdate ?? 0));
}
