import type { ListSlot } from '../../broker-auth/crl/list-store.ts';
import type { Statuses } from '../../broker-auth/open-statuses.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { nameToText } from '../../x509/name.ts';

/** What is held of one CA and scope. */
export interface ListFact {
  readonly issuer: string;
  /** The full list's; absent where there is only a delta yet. */
  readonly number?: string;
  readonly deltaNumber?: string;
  readonly entries: number;
  readonly ageSeconds: number;
  /** Until nextUpdate; below 0 where that is over. */
  readonly leftSeconds: number;
}

/** More would be of no use to whoever looks. */
const SHOWN = 100;

/**
 * What lists and answers are, for `/readyz`; with a fault where a listener has to deny devices for what is missing of it.
 */
export function statusFacts(statuses: Statuses, policy: GatePolicy, steady: SteadyClock) {
  const now = steady.now();
  const slots = [...statuses.lists.slots];
  const lists = slots.map((slot) => listFact(slot, now));
  const { listFaults, answers } = statuses;
  const fault = statuses.clockFault() ?? listFault(statuses, policy, now);
  return {
    lists: lists.slice(0, SHOWN),
    ...(lists.length > SHOWN && { moreLists: lists.length - SHOWN }),
    ...(listFaults.size > 0 && { places: Object.fromEntries([...listFaults].slice(0, SHOWN)) }),
    ocsp: {
      held: answers.held,
      wanted: answers.wanted,
      ...(answers.faults.size > 0 && { responders: Object.fromEntries(answers.faults) }),
    },
    ...(fault !== undefined && { fault }),
  };
}

function listFact(slot: ListSlot, now: number): ListFact {
  const { issuer, base, delta } = slot;
  const { asOf, until } = newestOf(slot);
  const [number, deltaNumber] = [base?.frame.number, delta?.frame.number];
  const seconds = (ms: number) => Math.round(ms / 1000);
  return {
    issuer: nameToText(issuer.certificate.tbs.subject),
    ...(number !== undefined && { number: String(number) }),
    ...(deltaNumber !== undefined && { deltaNumber: String(deltaNumber) }),
    entries: (base?.table.size ?? 0) + (delta?.table.size ?? 0),
    ageSeconds: seconds(now - asOf),
    leftSeconds: seconds(until - now),
  };
}

function newestOf({ base, delta }: ListSlot): { readonly asOf: number; readonly until: number } {
  const nothing = { asOf: Number.NEGATIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
  if (!base) return nothing;
  return delta && delta.asOf > base.asOf && delta.until > base.until ? delta : base;
}

/** A CA of which nothing is there, or only what is over, behind the grace of each listener that must know. */
function listFault({ lists }: Statuses, { listeners }: GatePolicy, now: number): string | undefined {
  const asked = [...listeners.values()].filter(({ status }) => status === 'hard');
  if (asked.length === 0) return undefined;
  const grace = Math.min(...asked.map(({ listGraceMs }) => listGraceMs));
  const most = Math.min(...asked.map(({ maxListAgeMs = Number.POSITIVE_INFINITY }) => maxListAgeMs));
  for (const { certificate, keyIdText } of lists.issuers) {
    const slots = lists.slotsOf(keyIdText) ?? [];
    if (!slots.some(({ base }) => base)) return `there is no list of ${certificate.title} yet`;
    for (const slot of slots) {
      const { asOf, until } = newestOf(slot);
      if (slot.base && (until + grace < now || now - asOf > most))
        return `a list of ${certificate.title} is too old`;
    }
  }
  return undefined;
}
