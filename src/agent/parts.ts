import type { RandomBytes } from '../core/random.ts';
import type { KeyType } from './key/key-type.ts';
import type { Authority, Credential, KeyStore, ProbeVerdict, Tell, Voucher } from './ports.ts';
import type { CredentialPaths } from './run-command.ts';
import type { Slot, StateFolder } from './state/state-folder.ts';
import type { Timekeeper } from './timekeeper.ts';

/** Tries a new credential somewhere, before anybody depends on it. */
export type Probe = (credential: Credential, paths: CredentialPaths) => Promise<ProbeVerdict>;

/** What an agent is made of. */
export interface AgentParts {
  readonly state: StateFolder;
  readonly keys: KeyStore;
  /** The kind of key to make; undefined where the authority is asked. */
  readonly keyType: KeyType | undefined;
  /** How often to look whether the window has moved, at least; without it as often as the authority says. */
  readonly lookEveryMs: number | undefined;
  readonly authority: Authority;
  readonly time: Timekeeper;
  readonly random: RandomBytes;
  readonly tell: Tell;
  /** All of them must accept a new credential; the authority is asked after them. */
  readonly probes: readonly Probe[];
  /** Tells who uses the credential that it changed; resolves to false where that did not work and is to be done again. */
  readonly announce: (paths: CredentialPaths) => Promise<boolean>;
  /** What else vouches for the device when its certificate does not, the best first. Asked for when it is needed. */
  readonly vouchers: () => readonly Voucher[];
  /** Whether keys are files, so that a path to one can be told. */
  readonly keysAreFiles: boolean;
  /** Whether a new root is taken for the channel's sake alone. */
  readonly acceptUnlinkedRoots: boolean;
}

/** The credential in a slot; undefined while there is only a key. */
export function credentialOf({ keys }: AgentParts, slot: Slot): Credential | undefined {
  const chain = slot.chain();
  return chain && { key: keys.open(slot.name, slot.folder), chain };
}
