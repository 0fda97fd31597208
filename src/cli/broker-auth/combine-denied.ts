import type { ListSlot } from '../../broker-auth/crl/list-store.ts';
import type { DeniedEntry, DeniedSource } from '../../broker-auth/denied-entry.ts';
import type { Statuses } from '../../broker-auth/open-statuses.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { ALL_REASONS } from '../../x509/distribution-point.ts';

const REMOVE_FROM_CRL = 8;

/**
 * What the feed tells and what lists have beside it, as all that is denied: for a broker that looks for itself. Of a CA that the feed
 * does not know, enough is known where a list without limits is held of it and not over.
 */
export function combineDenied(
  feed: DeniedSource,
  { lists, sources }: Pick<Statuses, 'lists' | 'sources'>,
  steady: SteadyClock,
): DeniedSource {
  return {
    position: () => feed.position(),
    *denied() {
      yield* feed.denied();
      for (const slot of lists.slots) yield* listed(slot);
    },
    isDenied: (id) =>
      feed.isDenied(id) || sources.some((source) => (source.statusOf(id)?.status ?? 'good') !== 'good'),
    knowsIssuer: (issuerKeyId) =>
      feed.knowsIssuer(issuerKeyId) ||
      (lists.slotsOf(issuerKeyId) ?? []).some(({ base }) => {
        const idp = base?.frame.distributionPoint;
        const whole = !idp || (!idp.name && !idp.onlyContainsCaCerts && idp.reasons === ALL_REASONS);
        return base !== undefined && base.until >= steady.now() && whole;
      }),
  };
}

/** A delta that is newer tells who came to the list, and who left it. */
function* listed({ base, delta }: ListSlot): Generator<DeniedEntry> {
  const newer = delta && (delta.frame.number ?? 0n) > (base?.frame.number ?? -1n) ? delta.table : undefined;
  const hasLeft = (digest: Buffer) => newer?.find(digest)?.reason === REMOVE_FROM_CRL;
  for (const table of [base?.table, newer])
    for (const digest of table?.digests() ?? []) if (!hasLeft(digest)) yield { kind: 'certificate', digest };
}
