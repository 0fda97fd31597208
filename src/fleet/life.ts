import type { DeviceState, LifeFacts, QuarantineCause } from './ports.ts';

/** By what a device may come to a door: what vouches for it, and what it has of ours. */
export const WAYS = ['factory', 'operator', 'ticket', 'idevid', 'ldevid', 'recoveryTicket'] as const;
export type Way = (typeof WAYS)[number];

/** What a state is, what it may do, and where it may go. This table is the only place that says so; docs/rotation.md shows it. */
export interface LifeRule {
  readonly meaning: string;
  /** By what a device may enroll or renew; `idevid` stands for a manufacturer's certificate too. */
  readonly ways: readonly Way[];
  /** Whether a broker lets it in, by which of its credentials. It is their revocations and holds that brokers hear of. */
  readonly broker: 'its LDevIDs' | 'its IDevID, where the policy says so' | 'nothing';
  readonly moves: readonly DeviceState[];
}

const ALL: readonly Way[] = ['factory', 'operator', 'ticket', 'idevid', 'ldevid'];
const BAD: readonly DeviceState[] = ['held', 'quarantined', 'compromised', 'retired'];

export const LIFE: Readonly<Record<DeviceState, LifeRule>> = {
  manufactured: {
    meaning: 'it has an IDevID and no LDevID that stands',
    ways: ALL,
    broker: 'its IDevID, where the policy says so',
    moves: ['enrolled', 'active', 'rotating', ...BAD],
  },
  enrolled: {
    meaning: 'it has an LDevID that nobody has seen in use',
    ways: ALL,
    broker: 'its LDevIDs',
    moves: ['manufactured', 'active', 'rotating', 'recovering', ...BAD],
  },
  active: {
    meaning: 'its LDevID was seen in use',
    ways: ALL,
    broker: 'its LDevIDs',
    moves: ['manufactured', 'enrolled', 'rotating', 'recovering', ...BAD],
  },
  rotating: {
    meaning: 'it has a newer LDevID beside the one that it takes the place of',
    ways: ALL,
    broker: 'its LDevIDs',
    moves: ['manufactured', 'enrolled', 'active', 'recovering', ...BAD],
  },
  held: {
    meaning: 'what it has is held by an operator',
    ways: [],
    broker: 'nothing',
    moves: ['manufactured', 'enrolled', 'active', 'rotating', 'quarantined', 'compromised', 'retired'],
  },
  quarantined: {
    meaning:
      'it is shut out: by an operator, by a gate or a campaign, because two hold its identity, or because its IDevID is compromised',
    ways: ['idevid', 'recoveryTicket'],
    broker: 'nothing',
    moves: [
      ...(['manufactured', 'enrolled', 'active', 'rotating', 'held'] as const),
      ...(['compromised', 'recovering', 'retired'] as const),
    ],
  },
  compromised: {
    meaning: 'its LDevID or its IDevID was revoked for keyCompromise, and it has nothing since',
    ways: ['factory', 'operator', 'ticket', 'idevid', 'recoveryTicket'],
    broker: 'nothing',
    moves: ['recovering', 'quarantined', 'retired'],
  },
  recovering: {
    meaning: 'it has a new credential after that, which nobody has seen in use',
    ways: ALL,
    broker: 'its LDevIDs',
    moves: ['manufactured', 'enrolled', 'active', 'rotating', ...BAD],
  },
  retired: { meaning: 'it is at its end', ways: [], broker: 'nothing', moves: [] },
};

export function mayMove(from: DeviceState, to: DeviceState): boolean {
  return LIFE[from].moves.includes(to);
}

/** What bears on a way beside the state. */
export interface WayFacts {
  /** Of the quarantine that the device is in. */
  readonly cause?: QuarantineCause;
  /** An IDevID of it was revoked for keyCompromise, and it has none since. */
  readonly idevidCompromised: boolean;
  /** An operator allowed it one more IDevID. */
  readonly rebirthAllowed: boolean;
}

/** Whether a device in that state may come to a door by that way. */
export function mayCome(
  state: DeviceState,
  way: Way,
  { cause, idevidCompromised, rebirthAllowed }: WayFacts,
): boolean {
  if (!LIFE[state].ways.includes(way)) return false;
  if (state === 'quarantined')
    return way === 'idevid'
      ? cause === 'conflict' || cause === 'campaign'
      : cause === 'compromise' && way === 'recoveryTicket';
  if (state !== 'compromised') return true;
  if (way === 'recoveryTicket') return idevidCompromised;
  // Nobody is born again by a factory's hand alone, and neither ticket nor operator is enough where an IDevID was stolen.
  return way === 'factory' ? rebirthAllowed : !idevidCompromised || (way === 'operator' && rebirthAllowed);
}

/** The state of a device that was given a certificate more. */
export function stateAfterIssue(
  before: DeviceState,
  issued: { readonly kind: 'idevid' | 'ldevid'; readonly rotates: boolean },
): DeviceState {
  if (before === 'quarantined' || before === 'compromised' || before === 'recovering') return 'recovering';
  if (issued.kind === 'idevid') return before;
  if (issued.rotates) return 'rotating';
  return before === 'manufactured' ? 'enrolled' : before;
}

/**
 * The state that a device's certificates speak for. What people and conflicts ordered (retired, quarantined) stays.
 *
 * @param compromised the act that this follows revoked for keyCompromise: what was recovering then is so no more
 */
export function settledState(facts: LifeFacts, compromised = false): DeviceState {
  const { state, liveLdevids, heldLdevids, liveIdevids, heldIdevids, seen, rotating } = facts;
  if (state === 'retired' || state === 'quarantined') return state;
  const isBack = state === 'recovering' || state === 'compromised';
  if (liveLdevids > 0) {
    if (isBack && !seen) return 'recovering';
    if (rotating) return 'rotating';
    return seen ? 'active' : 'enrolled';
  }
  if (heldLdevids > 0) return 'held';
  if (facts.ldevidCompromised || (facts.idevidCompromised && liveIdevids === 0))
    return state === 'recovering' && !compromised && liveIdevids > 0 ? 'recovering' : 'compromised';
  return heldIdevids > 0 && liveIdevids === 0 ? 'held' : 'manufactured';
}
