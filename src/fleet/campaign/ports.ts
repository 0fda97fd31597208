import type { CertificateRecord } from '../../ca/ports.ts';
import type { Actor } from '../../core/audit.ts';
import type { Page, PageRequest } from '../../core/unit-of-work.ts';
import type { DeviceRecord } from '../ports.ts';
import type { Selection } from './selection.ts';

/**
 * `planning`: members are being found. `planned`: they are, and nothing was done. `running`, `paused`. `ending`: what can be rolled back
 * is. `rolled-back`, `done`: over.
 */
export const CAMPAIGN_STATES = [
  'planning',
  'planned',
  'running',
  'paused',
  'ending',
  'rolled-back',
  'done',
] as const;
export type CampaignState = (typeof CAMPAIGN_STATES)[number];

/**
 * `waiting`: not called yet. `called`: told to renew. `renewed`: has a new credential that nobody has seen in use. `replaced`: it was
 * used. `revoked`, `quarantined`, `left`: did not follow before the deadline, and what was done about it (left: nothing).
 * `rolled-back`: its call was taken back.
 */
export const MEMBER_STATES = [
  'waiting',
  'called',
  'renewed',
  'replaced',
  'revoked',
  'quarantined',
  'left',
  'rolled-back',
] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** States in which a member is still to follow. */
export const OPEN_STATES = ['waiting', 'called', 'renewed'] as const;

/** Times in milliseconds since the epoch. */
export interface CampaignRecord {
  readonly id: number;
  readonly name: string;
  readonly state: CampaignState;
  /** As `plan.ts` wrote it: JSON. */
  readonly plan: string;
  readonly createdAt: number;
  readonly createdBy: Actor;
  /** Certificates up to this row were there when it was planned: none issued later is replaced by it. */
  readonly scanEnd: number;
  readonly scannedThrough: number;
  readonly plannedAt?: number;
  readonly approvedAt?: number;
  readonly approvedBy?: Actor;
  readonly startedAt?: number;
  readonly startedBy?: Actor;
  readonly pausedAt?: number;
  readonly pausedBecause?: string;
  /** How long it was paused before, or could not be followed since the house was down. */
  readonly pausedMs: number;
  readonly endedAt?: number;
  /** The wave under way, from 1 on; 0 before the first. */
  readonly wave: number;
  readonly waveSize: number;
  readonly waveCalled: number;
  /** When the wave's last member was called. */
  readonly waveCalledAt?: number;
  /** Up to when the rate was used up. */
  readonly creditAt?: number;
  /** The last wave whose gate was passed, or waived. */
  readonly gatePassed: number;
  /** Certificates issued up to this row were looked at for who followed. */
  readonly followedThrough: number;
  /** When the engine last noted that it is there, while it runs. */
  readonly lookedAt?: number;
}

/** What moves of a campaign; undefined takes a value away. */
export type CampaignMove = Partial<
  Pick<
    CampaignRecord,
    | 'state'
    | 'scannedThrough'
    | 'plannedAt'
    | 'approvedAt'
    | 'approvedBy'
    | 'startedAt'
    | 'startedBy'
    | 'pausedMs'
    | 'endedAt'
    | 'wave'
    | 'waveSize'
    | 'waveCalled'
    | 'waveCalledAt'
    | 'creditAt'
    | 'gatePassed'
    | 'followedThrough'
    | 'lookedAt'
  > & { readonly pausedAt: number | undefined; readonly pausedBecause: string | undefined }
>;

export interface MemberRecord {
  readonly deviceId: number;
  readonly state: MemberState;
  /** `due`: the old credentials are to be held or revoked at once, and are not yet. */
  readonly access: 'keep' | 'due' | 'held' | 'revoked';
  readonly wave: number;
  readonly calledAt?: number;
  readonly renewedAt?: number;
  readonly endedAt?: number;
}

export type MemberMove = Partial<Omit<MemberRecord, 'deviceId'>>;

/** A certificate that a campaign is about: one of those it replaces, or one that a member got in their place. */
export interface CampaignCertificate {
  readonly deviceId: number;
  readonly certificateId: number;
  readonly part: 'old' | 'new';
  readonly profile: string;
  /** Whether it is this campaign that holds it. */
  readonly held: boolean;
}

/** A count of the blast radius. */
export interface CampaignFact {
  readonly kind: 'certificate' | 'device' | 'profile' | 'batch' | 'recovery' | 'seen';
  readonly name: string;
  readonly count: number;
}

export interface CampaignTally {
  readonly wave: number;
  readonly state: MemberState;
  readonly members: number;
}

/** One certificate of a device, as planning sees it. */
export interface ScannedCredential {
  readonly certificate: CertificateRecord;
  readonly device: DeviceRecord;
  /** When it was seen in use last, as far as is known. */
  readonly seenAt?: number;
}

export interface CredentialScan {
  readonly selection: Selection;
  /** Names of the profiles that count. */
  readonly profiles: readonly string[];
  /** Only certificates that end behind this time and stand, or are held. */
  readonly now: number;
  /** Rows up to this one were looked at. */
  readonly after: number;
  /** Rows behind it are not looked at. */
  readonly end: number;
  /** Only these rows, all at once. */
  readonly only?: readonly number[];
}

export interface ScannedCredentials {
  readonly items: readonly ScannedCredential[];
  /** Rows up to this one were looked at: `end` where there are no more. */
  readonly through: number;
}

/** A member whose new credential was used. */
export interface UsedSuccessors {
  readonly deviceIds: readonly number[];
  /** Members up to this one were looked at; undefined: to the end. */
  readonly through?: number;
}

/** When a member of a campaign followed, milliseconds since the epoch. */
export interface Follower {
  readonly wave: number;
  readonly calledAt: number;
  /** Its old one had done its part. */
  readonly endedAt: number;
}

export interface CampaignReads {
  findCampaign(name: string): Promise<CampaignRecord | undefined>;
  /** Newest first. */
  listCampaigns(page: PageRequest): Promise<Page<CampaignRecord>>;
  /** Those in one of these states, oldest first. They are few. */
  findCampaignsIn(states: readonly CampaignState[]): Promise<readonly CampaignRecord[]>;
  /** By wave and state; none of 0. */
  tallyCampaign(campaignId: number): Promise<readonly CampaignTally[]>;
  /** The blast radius: the counts of a kind, greatest first, `limit` at most; and how many there are. */
  campaignFacts(
    campaignId: number,
    kind: CampaignFact['kind'],
    limit: number,
  ): Promise<{ readonly facts: readonly CampaignFact[]; readonly names: number }>;
  /** In the order of devices, from behind `after` on. */
  listMembers(
    campaignId: number,
    search: { readonly state?: MemberState; readonly after: number; readonly limit: number },
  ): Promise<readonly MemberRecord[]>;
  /** Members in one of these states, first devices first; to be read again after each was moved. */
  findMembersIn(
    campaignId: number,
    states: readonly MemberState[],
    limit: number,
  ): Promise<readonly MemberRecord[]>;
  /** Members whose old credentials are still to be held or revoked. */
  findAccessDue(campaignId: number, limit: number): Promise<readonly MemberRecord[]>;
  findMembers(
    campaignId: number,
    deviceIds: readonly number[],
  ): Promise<readonly (MemberRecord | undefined)[]>;
  findCampaignCertificates(
    campaignId: number,
    deviceIds: readonly number[],
  ): Promise<readonly CampaignCertificate[]>;
  /** The row of the newest certificate; 0 where there is none. */
  newestCertificate(): Promise<number>;
  /** The row before the first certificate that is only reserved yet: up to there all are signed. */
  signedThrough(): Promise<number>;
  /** Goes through a bounded number of rows. */
  scanCredentials(scan: CredentialScan): Promise<ScannedCredentials>;
  /**
   * Certificates of a campaign's members that were issued behind a row, a bounded number of rows at once; `through`: up to where
   * was looked.
   */
  findIssuedToMembers(
    campaignId: number,
    after: number,
    end: number,
  ): Promise<{ readonly items: readonly CertificateRecord[]; readonly through: number }>;
  /** Goes through the members that are `renewed`, a bounded number at once, for those one of whose new credentials was used. */
  findUsedSuccessors(campaignId: number, after: number): Promise<UsedSuccessors>;
  /** Members of the latest campaign that replaced any, which were called and were replaced; the last of its order first. */
  latestFollowers(limit: number): Promise<readonly Follower[]>;
  /**
   * When those of these profiles were reserved, among the latest certificates, for which another certificate of the device vouched;
   * newest first.
   */
  latestRenewals(profiles: readonly string[], limit: number): Promise<readonly number[]>;
}

export interface CampaignWrites extends CampaignReads {
  /** Fails with `already-exists` where one of that name is there. */
  addCampaign(
    campaign: Pick<
      CampaignRecord,
      'name' | 'plan' | 'createdAt' | 'createdBy' | 'scanEnd' | 'scannedThrough'
    >,
  ): Promise<CampaignRecord>;
  moveCampaign(id: number, move: CampaignMove): Promise<void>;
  /** Takes a campaign away with all its rows, some of them at once; returns whether it is gone. Only for what was never started. */
  dropCampaign(id: number, limit: number): Promise<boolean>;
  /** Adds members that wait; returns those that were not there. */
  addMembers(
    campaignId: number,
    members: readonly Pick<MemberRecord, 'deviceId' | 'access'>[],
  ): Promise<readonly number[]>;
  moveMembers(campaignId: number, deviceIds: readonly number[], move: MemberMove): Promise<void>;
  /** Keeps the first word on each. */
  addCampaignCertificates(
    campaignId: number,
    certificates: readonly Omit<CampaignCertificate, 'profile' | 'held'>[],
  ): Promise<void>;
  setHeldByCampaign(
    campaignId: number,
    deviceId: number,
    certificateId: number,
    held: boolean,
  ): Promise<void>;
  countFacts(campaignId: number, facts: readonly CampaignFact[]): Promise<void>;
}
