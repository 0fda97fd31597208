import type { Authorities } from '../ca/authority.ts';
import type { CrlRoom } from '../ca/crl/room.ts';
import type { CertificateFacts } from '../ca/ports.ts';
import { publishTouchedCrls, type Touched } from '../ca/publish-due-crls.ts';
import type { Actor } from '../core/audit.ts';
import { breathe } from '../core/breathe.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { UnitOfWork } from '../core/unit-of-work.ts';
import { changeStatuses, planStatuses, type StatusOrder, type StatusPlan } from './change-status.ts';
import type { FleetReads, FleetTx } from './ports.ts';
import { describeSelector, isWide, type Selector, selectCertificates } from './select-certificates.ts';

export interface RevocationOrder extends Omit<StatusOrder, 'discoveredAt' | 'decidedAt'> {
  readonly by: Selector;
  /** Not said: now. */
  readonly discoveredAt?: number;
  readonly decidedAt?: number;
  /** Only finds out what would be done. */
  readonly dryRun?: boolean;
  /** Stops after looking at so many; `next` of the result goes on. */
  readonly limit?: number;
  /** `next` of the result before. */
  readonly after?: number;
}

export interface RevocationResult {
  /** How many were changed, or would be. */
  readonly changed: number;
  /** How many were so already. */
  readonly unchanged: number;
  /** How many stay revoked, although they were to be released. */
  readonly final: number;
  /** Of those changed, by profile. */
  readonly profiles: Readonly<Record<string, number>>;
  /** The first 20 of those changed, hexadecimal. */
  readonly serials: readonly string[];
  /**
   * Whether the lists that the certificates name tell it already; where not, they are tried again until they do. With `next`
   * they do not: the last part of an act publishes, once for all of it.
   */
  readonly published: boolean;
  /** There may be more behind this place. */
  readonly next?: number;
}

/** Revokes, holds or releases certificates, and publishes the lists that they name. */
export type Revoker = (order: RevocationOrder, actor: Actor) => Promise<RevocationResult>;

export interface RevokerOptions {
  readonly ledger: UnitOfWork<FleetTx, FleetReads>;
  readonly crls: CrlRoom;
  readonly idevidProfiles: ReadonlySet<string>;
  /** Not guarded: a clock that went back must not keep a thief's certificate good. */
  readonly clock: Clock;
  /** Certificates changed in one unit of work. Not said: few, so that others wait for it some milliseconds only. */
  readonly pieceOf?: number;
  /** Goes on with an act of more than one piece, where this thread has others to serve. */
  readonly elsewhere?: Revoker;
  /** Told why lists could not be published. */
  readonly onUnpublished: (error: unknown) => void;
}

const PIECE = 250;
const SHOWN = 20;

/**
 * Acts are in pieces and each piece is whole, so an act that was cut short is finished by saying it again.
 *
 * Errors of the revoker: `not-found`, `device-unknown`, `bad-request` (a root's own certificate, a time to come),
 * `certificate-revoked` (a release of what is revoked).
 */
export function createRevoker(options: RevokerOptions): Revoker {
  const { ledger, crls, idevidProfiles, clock, elsewhere, pieceOf = PIECE, onUnpublished } = options;

  return async (order, actor) => {
    const full = withMoments(order, clock());
    const { by, dryRun = false } = order;
    const { discoveredAt, decidedAt } = full;
    const tally = newTally();
    const work = (reads: FleetReads, chosen: readonly CertificateFacts[]) =>
      planStatuses(reads, withoutRoots(chosen, crls.authorities), full, idevidProfiles);
    const change = (tx: FleetTx, chosen: readonly CertificateFacts[]) =>
      changeStatuses(tx, withoutRoots(chosen, crls.authorities), full, idevidProfiles, {
        actor,
        by: describeSelector(by),
        // A wide act takes minutes: each piece is recorded when it is.
        now: clock(),
      });

    let next: number | undefined;
    if (!isWide(by)) {
      if (dryRun) tally.add(await work(ledger.read, await selectCertificates(ledger.read, by)));
      else
        tally.add(
          await ledger.write(async (tx) => {
            const chosen = await selectCertificates(tx, by);
            // A key that is known to be out is blocked before anybody comes with it, too.
            if (by.kind === 'key' && order.reason === 'keyCompromise')
              await tx.blockKey(by.keyHash, 'reported for keyCompromise', clock());
            return change(tx, chosen);
          }),
        );
      refuseNothing(by, tally, order);
    } else {
      const of = by.kind === 'batch' ? { batch: by.batch } : { authority: by.authority };
      let after: number | undefined = order.after ?? 0;
      const most = order.limit ?? Number.POSITIVE_INFINITY;
      for (let looked = 0; after !== undefined && looked < most; ) {
        const limit = Math.min(pieceOf, most - looked);
        const { items, through } = await ledger.read.scanCertificates({ of, after, limit });
        tally.add(dryRun ? await work(ledger.read, items) : await ledger.write((tx) => change(tx, items)));
        looked += items.length;
        after = through;
        if (elsewhere && !dryRun && after !== undefined && looked < most) {
          const goOn = { ...order, discoveredAt, decidedAt, after, limit: most - looked };
          return elsewhere(goOn, actor).then((rest) => addResults(tally.result(), rest));
        }
        await breathe();
      }
      next = after;
      if (order.after === undefined && tally.isEmpty())
        throw new BirthmarkError('not-found', `there are no certificates of ${describeSelector(by)}`);
    }
    const published = dryRun || (next === undefined && (await publish(tally.touched(isWide(by)))));
    return { ...tally.result(), published, ...(next !== undefined && { next }) };
  };

  async function publish(touched: Touched): Promise<boolean> {
    try {
      return await publishTouchedCrls(touched, crls, clock);
    } catch (error) {
      onUnpublished(error);
      return false;
    }
  }
}

/** @param rest what came last, which knows whether there is more, and whether all is published */
function addResults(done: ReturnType<Tally['result']>, rest: RevocationResult): RevocationResult {
  const profiles = { ...done.profiles };
  for (const [name, count] of Object.entries(rest.profiles)) profiles[name] = (profiles[name] ?? 0) + count;
  return {
    ...rest,
    changed: done.changed + rest.changed,
    unchanged: done.unchanged + rest.unchanged,
    final: done.final + rest.final,
    profiles,
    serials: [...done.serials, ...rest.serials].slice(0, SHOWN),
  };
}

function withMoments(order: RevocationOrder, now: number): StatusOrder {
  for (const field of ['invalidityAt', 'discoveredAt', 'decidedAt'] as const) {
    if ((order[field] ?? 0) > now)
      throw new BirthmarkError('bad-request', `${field} is a time to come`, { field });
  }
  const { by, decidedAt = now, discoveredAt = decidedAt } = order;
  // A lineage and a batch have in them all that would go along.
  const whole = by.kind === 'lineage' || by.kind === 'batch';
  return { ...order, discoveredAt, decidedAt, ...(whole && { cascade: false }) };
}

/** Nobody asks a root's own list about the root: it is distrusted by taking it out of trust stores. */
function withoutRoots(
  certificates: readonly CertificateFacts[],
  authorities: Authorities,
): readonly CertificateFacts[] {
  return certificates.filter(({ authority: name, serial }) => {
    const authority = authorities.get(name);
    return !(authority?.isRoot && equalBytes(authority.certificate.tbs.serial, serial));
  });
}

function refuseNothing(by: Selector, tally: Tally, { act, reason }: RevocationOrder): void {
  const { final } = tally.result();
  if (by.kind === 'serial' && act === 'release' && final > 0)
    throw new BirthmarkError('certificate-revoked', 'the certificate is revoked, which is never taken back');
  if (!tally.isEmpty()) return;
  if (by.kind === 'serial')
    throw new BirthmarkError(
      'bad-request',
      "a root's own certificate cannot be revoked; distrust it instead",
    );
  if (by.kind === 'key' && reason === 'keyCompromise') return;
  throw new BirthmarkError('not-found', `there are no certificates of ${describeSelector(by)}`);
}

interface Tally {
  add(plan: StatusPlan): void;
  isEmpty(): boolean;
  result(): Omit<RevocationResult, 'published' | 'next'>;
  /** What the lists have to tell. Parts of a wide act may have gone before. */
  touched(wide: boolean): Touched;
}

function newTally(): Tally {
  let [changed, unchanged, final] = [0, 0, 0];
  const profiles: Record<string, number> = {};
  const serials: string[] = [];
  // With a cascade one may come up twice.
  const seen = new Set<number>();
  const isNew = ({ id }: CertificateFacts) => !seen.has(id) && seen.add(id);
  const places = new Map<string, { readonly authority: string; readonly shard: number }>();
  return {
    add: (plan) => {
      unchanged += plan.unchanged.filter(isNew).length;
      final += plan.final.filter(isNew).length;
      for (const { certificate } of plan.change) {
        if (!isNew(certificate)) continue;
        changed += 1;
        profiles[certificate.profile] = (profiles[certificate.profile] ?? 0) + 1;
        if (serials.length < SHOWN) serials.push(toHex(certificate.serial));
      }
      for (const place of [...plan.change.map((one) => one.certificate), ...plan.unchanged])
        places.set(`${place.authority}/${place.shard}`, place);
    },
    isEmpty: () => changed + unchanged + final === 0,
    result: () => ({ changed, unchanged, final, profiles, serials }),
    touched: (wide) => ({ places: wide ? 'all' : [...places.values()], changed }),
  };
}
