import type { CaReads, CaTx, CertificateRecord } from '../ca/ports.ts';
import type { Actor } from '../core/audit.ts';
import type { Page, PageRequest } from '../core/unit-of-work.ts';

/** What each means, and what it may do: `life.ts`. */
export const DEVICE_STATES = [
  'manufactured',
  'enrolled',
  'active',
  'rotating',
  'held',
  'quarantined',
  'compromised',
  'recovering',
  'retired',
] as const;
export type DeviceState = (typeof DEVICE_STATES)[number];

/** RFC 4108 §5. */
export interface HardwareModule {
  /** hwType, an object identifier in dotted form. */
  readonly hwType: string;
  /** hwSerialNum, 1 to 64 octets. */
  readonly hwSerialNum: Uint8Array;
}

/** A device is a serial number in a namespace; the same number in another namespace is another device. */
export interface DeviceKey {
  readonly namespace: string;
  readonly serialNumber: string;
}

export interface NewDevice extends DeviceKey {
  readonly model?: string;
  readonly batch?: string;
  readonly hardware?: HardwareModule;
  readonly state: DeviceState;
  readonly createdAt: number;
}

export interface DeviceRecord extends NewDevice {
  readonly id: number;
  /** An operator allowed it one more IDevID with another key; the next birth uses this up. */
  readonly rebirthAllowed: boolean;
  /** Tickets that were made for it up to this time are dead; 0 where none are. */
  readonly ticketsAfter: number;
}

/** What the ledger holds of a device's certificates that bears on its state, as of one moment. Ended ones count for nothing. */
export interface LifeFacts extends DeviceKey {
  readonly deviceId: number;
  readonly state: DeviceState;
  /** LDevIDs that are neither revoked nor held, and those that are held. */
  readonly liveLdevids: number;
  readonly heldLdevids: number;
  /** Whether one of the live ones was seen in use. */
  readonly seen: boolean;
  /** Whether an LDevID was revoked for keyCompromise. */
  readonly ldevidCompromised: boolean;
  readonly liveIdevids: number;
  readonly heldIdevids: number;
  /** Whether an IDevID was revoked for keyCompromise. */
  readonly idevidCompromised: boolean;
  /** Whether a rotation goes on whose certificates are both live. */
  readonly rotating: boolean;
}

export interface DeviceMove {
  readonly deviceId: number;
  readonly to: DeviceState;
}

/**
 * What shut a device out. `conflict`: two hold its identity. `compromise`: its IDevID's key is in other hands. `campaign`: its LDevIDs are
 * to be replaced, and are held until it comes back.
 */
export const QUARANTINE_CAUSES = ['operator', 'gate', 'conflict', 'compromise', 'campaign'] as const;
export type QuarantineCause = (typeof QUARANTINE_CAUSES)[number];

export interface Quarantine {
  readonly deviceId: number;
  readonly cause: QuarantineCause;
  readonly since: number;
  readonly orderedBy: Actor;
  /** Rows of the certificates that it holds itself: what was held before stays held after it. */
  readonly held: readonly number[];
}

export interface DeviceSearch extends PageRequest {
  /** Matches the beginning of the serial number, or exactly the model or the batch. */
  readonly query?: string;
  readonly state?: DeviceState;
  readonly namespace?: string;
}

/** A certificate with all that says whether it may speak for a device, as of one moment. */
export interface CredentialFacts {
  readonly record: CertificateRecord;
  /** Absent where it is no device's. */
  readonly device?: DeviceKey;
  /** Absent where it stands. */
  readonly takenBack?: 'revoked' | 'held';
  /** Its key is on the block list. */
  readonly keyBlocked: boolean;
}

export interface DeviceReads {
  /** By the certificate's serial; undefined for what was never reserved. */
  findCredential(serial: Uint8Array): Promise<CredentialFacts | undefined>;
  /** In order; undefined where there is none. */
  findDevices(keys: readonly DeviceKey[]): Promise<readonly (DeviceRecord | undefined)[]>;
  /** In order; undefined where there is none. */
  findDevicesById(ids: readonly number[]): Promise<readonly (DeviceRecord | undefined)[]>;
  /** By serial number within a namespace. */
  searchDevices(search: DeviceSearch): Promise<Page<DeviceRecord>>;
  /** In no order; those that there are. `idevidProfiles`: the names of the profiles of kind idevid. */
  findLifeFacts(
    ids: readonly number[],
    idevidProfiles: ReadonlySet<string>,
    at: number,
  ): Promise<readonly LifeFacts[]>;
  /** Devices whose certificates changed without their state: a record was replayed. */
  listUnsettled(limit: number): Promise<readonly number[]>;
  findQuarantine(deviceId: number): Promise<Quarantine | undefined>;
  /** Those for a conflict that this actor's word began since then and that go on. */
  countConflictQuarantines(orderedBy: Actor, since: number): Promise<number>;
}

export interface DeviceWrites extends DeviceReads {
  /** Returns the ids in order. A device that is there already fails the whole work. */
  addDevices(devices: readonly NewDevice[]): Promise<readonly number[]>;
  /** All of them at once. A device that is not there fails the whole work. */
  moveDevices(moves: readonly DeviceMove[]): Promise<void>;
  setRebirthAllowed(deviceId: number, allowed: boolean): Promise<void>;
  /** Takes them off the list of `listUnsettled`. */
  noteSettled(ids: readonly number[]): Promise<void>;
  /** Shuts a device out: state and quarantine, one for a device. */
  addQuarantine(quarantine: Quarantine): Promise<void>;
  /** Ends a quarantine, if there is one, and moves its device. */
  endQuarantine(deviceId: number, to: DeviceState): Promise<void>;
  /** Moves a device to its end, and ends its quarantine. */
  retireDevice(deviceId: number): Promise<void>;
  /** No ticket that was made for it up to then is good any more. */
  killTickets(deviceId: number, upTo: number): Promise<void>;
}

/**
 * `open`: nobody has seen the new one. `used`: it was seen, and the old one retires when it is due. `retired`: the old one was, as
 * superseded. `ended`: over without that (one of the two was taken back or has ended). `conflict`: two hold the identity.
 */
export type RotationState = 'open' | 'used' | 'retired' | 'ended' | 'conflict';

/** A certificate, and the one of the same device and profile that is to take its place. Times in milliseconds since the epoch. */
export interface NewRotation {
  readonly deviceId: number;
  /** Rows of the certificates. */
  readonly oldId: number;
  readonly newId: number;
  readonly begunAt: number;
  /** When the old one is no longer good: while open its end, once used the end of the grace. */
  readonly dueAt: number;
}

export interface Rotation extends NewRotation {
  readonly id: number;
  readonly state: RotationState;
  /** When the new one was used first. */
  readonly usedAt?: number;
  readonly endedAt?: number;
}

export interface RotationCounts {
  readonly open: number;
  readonly used: number;
  readonly conflict: number;
}

export interface RotationReads {
  /** Of these devices, oldest first. */
  findRotationsOf(deviceIds: readonly number[]): Promise<readonly Rotation[]>;
  /** In which these certificates are the old one or the new one, oldest first. */
  findRotationsWith(certificateIds: readonly number[]): Promise<readonly Rotation[]>;
  /** Open and used ones whose time has come, the longest due first. */
  listDueRotations(at: number, limit: number): Promise<readonly Rotation[]>;
  countRotations(): Promise<RotationCounts>;
}

export interface RotationWrites extends RotationReads {
  /** Begins them, open. One to a new certificate that another rotation has fails the whole work. */
  addRotations(rotations: readonly NewRotation[]): Promise<void>;
  /** Open ones only: the others stay. */
  noteRotationsUsed(ids: readonly number[], usedAt: number, dueAt: number): Promise<void>;
  /** Of used ones: they come due later. */
  postponeRotations(ids: readonly number[], dueAt: number): Promise<void>;
  endRotations(ids: readonly number[], state: 'retired' | 'ended' | 'conflict', at: number): Promise<void>;
  /**
   * Ends the open and used rotations of these devices of which one certificate is revoked. All at once; it costs nothing where
   * there are none.
   */
  endBrokenRotations(deviceIds: readonly number[], at: number): Promise<void>;
}

/** Somebody wants a certificate renewed by then, whatever its own window says. */
export interface RenewalCall {
  /** The certificate's row. */
  readonly certificateId: number;
  /** Who calls, and tells this call from others for the same certificate: `operator`, `campaign:7`, `authority:ldevid`. */
  readonly cause: string;
  /** From then on it should be renewed. */
  readonly at: number;
  readonly calledAt: number;
  readonly calledBy: Actor;
}

export interface RenewalCallReads {
  /** For these certificates, the earliest of each first; in the order of the certificates. */
  findRenewalCalls(certificateIds: readonly number[]): Promise<readonly RenewalCall[]>;
}

export interface RenewalCallWrites extends RenewalCallReads {
  /** All at once. A call of the same cause for the same certificate takes the place of the one before. */
  callRenewals(calls: readonly RenewalCall[]): Promise<void>;
  /** Takes calls of that cause back. Returns how many there were. */
  dropRenewalCalls(certificateIds: readonly number[], cause: string): Promise<number>;
}

/** That a certificate was in use, as a gate saw it first. */
export interface Sighting {
  /** The certificate's row. */
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly seenAt: number;
  /** When it was seen last, to about a day. */
  readonly lastSeenAt: number;
  /** Where, as the gate's policy names it. */
  readonly listener: string;
  /** Actor. */
  readonly toldBy: string;
}

export interface SightingReads {
  /** In order; undefined where nobody has seen it. */
  findSightings(ids: readonly number[]): Promise<readonly (Sighting | undefined)[]>;
}

export interface SightingWrites extends SightingReads {
  /** Keeps the first sighting of each certificate, and when it was seen last. Returns those that were the first. */
  addSightings(sightings: readonly Sighting[]): Promise<readonly Sighting[]>;
}

export type FleetReads = CaReads & DeviceReads & SightingReads & RotationReads & RenewalCallReads;
export type FleetTx = CaTx & DeviceWrites & SightingWrites & RotationWrites & RenewalCallWrites;
