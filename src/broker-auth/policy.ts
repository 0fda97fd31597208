import type { ClientIdRule } from './client-id.ts';
import type { EvidenceLevel } from './evidence.ts';
import type { KeyDemand } from './key-demand.ts';
import type { PresetName, TlsDemand } from './presets.ts';
import type { TopicRules } from './topic-rules.ts';
import type { Variable } from './variables.ts';

/** Whether a status must be known: `hard` denies without, `soft` allows and says so, `off` never asks. */
export type StatusMode = 'hard' | 'soft' | 'off';

/** Rules of one listener of a broker. */
export interface ListenerPolicy {
  readonly name: string;
  /** What its rules begin with. */
  readonly preset: PresetName;
  /** How the broker's listener must speak; absent where plain connections are allowed. */
  readonly tls?: TlsDemand;
  /** Keys that a client's path may have; any that our validation takes where absent. */
  readonly keys?: KeyDemand;
  /** Less than this is denied, whatever it says. */
  readonly evidence: EvidenceLevel;
  readonly status: StatusMode;
  /** What the feed says of a status may be so old, with the grace in it. */
  readonly maxStatusAgeMs: number;
  /** A list or an answer may be so old, whatever it says itself of how long it holds. */
  readonly maxListAgeMs?: number;
  /** For so long it is taken behind its nextUpdate. */
  readonly listGraceMs: number;
  /** Devices whose certificate says that it is never taken back (noRevAvail, RFC 9608). */
  readonly withoutRevocation: 'refused' | 'accepted';
  /** Certificates without extKeyUsage: those of IEEE 802.1AR have none. */
  readonly withoutUsage: 'refused' | 'idevid' | 'accepted';
  /** A session ends after so long at the latest. */
  readonly maxSessionMs?: number;
  /** Up to this part of it is taken off by chance, so that a fleet does not come back at once. 0 to 0.9. */
  readonly sessionJitter: number;
  /** Names of the roles that may connect here; all where it is absent. */
  readonly roles?: readonly string[];
}

/** Which credentials have the role: all that is given must fit. */
export interface RoleCondition {
  readonly namespaces?: readonly string[];
  /** Common names of issuers. */
  readonly issuers?: readonly string[];
  /** Certificate policies, dotted; one of them is enough. */
  readonly policies?: readonly string[];
}

export interface Role {
  readonly name: string;
  readonly when: RoleCondition;
  readonly clientId: ClientIdRule;
  /** No second live connection of one identity under another ClientId. */
  readonly exclusive: boolean;
  readonly topics: TopicRules;
}

/** Manufacturers and ours: who is believed, and whose serial numbers theirs are. */
export interface TrustedNamespace {
  readonly namespace: string;
  /**
   * Under these roots there are devices of others too, which a Birthmark enrolled: an OU that is not one of `ownUnits` is their
   * namespace. They have roles that name it, and no other.
   */
  readonly guests?: { readonly ownUnits: readonly string[] };
  /** DER. */
  readonly anchors: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
}

export interface GatePolicy {
  readonly trust: readonly TrustedNamespace[];
  /** The place of the device's id in its certificate. */
  readonly identity: Variable;
  /** The first that fits is the client's. */
  readonly roles: readonly Role[];
  readonly listeners: ReadonlyMap<string, ListenerPolicy>;
  /** How long after it was told a credential's CONNECT is told again. */
  readonly resightMs: number;
}
