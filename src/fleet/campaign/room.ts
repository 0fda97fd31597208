import type { CrlRoom } from '../../ca/crl/room.ts';
import type { Profile } from '../../ca/profile.ts';
import type { Clock } from '../../core/clock.ts';
import type { UnitOfWork } from '../../core/unit-of-work.ts';
import type { FleetReads, FleetTx } from '../ports.ts';
import type { CampaignReads, CampaignWrites } from './ports.ts';

export type CampaignTx = FleetTx & CampaignWrites;
export type CampaignLedger = UnitOfWork<CampaignTx, FleetReads & CampaignReads>;

/** What campaigns need of a house. */
export interface CampaignRoom {
  readonly ledger: CampaignLedger;
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly crls: CrlRoom;
  /** Not guarded: what takes credentials back must not wait for a clock that went back. */
  readonly clock: Clock;
  /** Told why lists could not be published; upkeep tries again. */
  readonly onUnpublished: (error: unknown) => void;
}

/** Members moved in one unit of work: others wait for it some milliseconds only. */
export const PIECE = 500;

/** Names of the profiles that campaigns replace credentials of. */
export function ldevidProfiles({ profiles }: Pick<CampaignRoom, 'profiles'>): readonly string[] {
  return [...profiles.values()].filter(({ kind }) => kind === 'ldevid').map(({ name }) => name);
}
