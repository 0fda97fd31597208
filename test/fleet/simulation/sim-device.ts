import type { Timekeeper } from '../../../src/agent/timekeeper.ts';
import type { SampleKey } from '../../x509/samples.ts';
import type { Chance } from './chance.ts';
import type { Chronicle } from './chronicle.ts';
import type { Credential } from './credential.ts';
import type { DeviceTrust, TrustRoom } from './device-trust.ts';
import type { Span } from './spans.ts';
import type { Issued, World } from './world.ts';
import type { WrongClock } from './wrong-clock.ts';

/** A device with a firmware that obeys the rules: it keeps what works until something else does. */
export interface SimDevice {
  readonly name: string;
  readonly idevid: Credential;
  /** It is at a broker that never reports. */
  readonly isMute: boolean;
  /** It tells the authority of each new credential that works. */
  readonly confirms: boolean;
  /** What it told of last, and was heard. */
  confirmed: Credential | undefined;
  readonly clock: WrongClock;
  /** A new agent's. */
  readonly start: () => Timekeeper;
  /** The agent's that runs. */
  time: Timekeeper;
  readonly off: readonly Span[];
  /** What it connects with. */
  current: Credential | undefined;
  /** By its own clock. */
  renewAt: number;
  /** Newer, and not tried yet. */
  candidate: Issued | undefined;
  /** Written down before it was sent anywhere. */
  pendingKey: SampleKey | undefined;
  trust: DeviceTrust;
  /** It may have missed a call for renewal. */
  asksWindow: boolean;
  failures: number;
  /** Since it has what it has: times in which it could do nothing, because what it tried before had met a fault. */
  vain: Span[];
  /** Somebody else has, or had, a key of its own. */
  stolen: boolean;
  /** When it was let in last. */
  letInAt: number;
  /** Counts what it is about to do next: what was planned before is off. */
  turn: number;
}

export interface Life {
  readonly world: World;
  readonly chance: Chance;
  readonly trustRoom: TrustRoom;
  readonly chronicle: Chronicle;
}
