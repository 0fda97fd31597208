import type { CaReads, CaTx } from '../ca/ports.ts';
import type { Page, PageRequest } from '../core/unit-of-work.ts';

/** `manufactured`: it has an IDevID of ours. `enrolled`: it has an LDevID. */
export type DeviceState = 'manufactured' | 'enrolled';

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
}

export interface DeviceSearch extends PageRequest {
  /** Matches the beginning of the serial number, or exactly the model or the batch. */
  readonly query?: string;
  readonly state?: DeviceState;
  readonly namespace?: string;
}

export interface DeviceReads {
  /** In order; undefined where there is none. */
  findDevices(keys: readonly DeviceKey[]): Promise<readonly (DeviceRecord | undefined)[]>;
  /** In order; undefined where there is none. */
  findDevicesById(ids: readonly number[]): Promise<readonly (DeviceRecord | undefined)[]>;
  /** By serial number within a namespace. */
  searchDevices(search: DeviceSearch): Promise<Page<DeviceRecord>>;
}

export interface DeviceWrites extends DeviceReads {
  /** Returns the ids in order. A device that is there already fails the whole work. */
  addDevices(devices: readonly NewDevice[]): Promise<readonly number[]>;
  setDeviceState(deviceId: number, state: DeviceState): Promise<void>;
  setRebirthAllowed(deviceId: number, allowed: boolean): Promise<void>;
}

/** That a certificate was in use, as a gate saw it first. */
export interface Sighting {
  /** The certificate's row. */
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly seenAt: number;
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
  /** Keeps the first sighting of each certificate. Returns those that were the first. */
  addSightings(sightings: readonly Sighting[]): Promise<readonly Sighting[]>;
}

export type FleetReads = CaReads & DeviceReads & SightingReads;
export type FleetTx = CaTx & DeviceWrites & SightingWrites;
