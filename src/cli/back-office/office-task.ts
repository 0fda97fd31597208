import type { CrlPolicy } from '../../ca/crl/room.ts';
import type { CrlOrder } from '../../ca/crl/scope.ts';
import type { Actor } from '../../core/audit.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type { NotedSightings, Sightings } from '../../fleet/note-sightings.ts';
import type { RevocationOrder, RevocationResult } from '../../fleet/revoker.ts';
import type { RotationPolicy } from '../../fleet/rotation/settings.ts';

/** What the back office needs to know of its house: all that can be handed to a thread. */
export interface OfficeSetup {
  /** The home's folder. */
  readonly home: string;
  readonly recordPath: string;
  readonly passphrase: string;
  readonly publicUrl: string;
  readonly policy: CrlPolicy;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly rotation: RotationPolicy;
  readonly logLevel: string;
}

export type OfficeTask =
  | {
      readonly kind: 'revoke';
      readonly id: number;
      readonly order: RevocationOrder;
      readonly actor: Actor;
    }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly orders: readonly CrlOrder[];
      readonly now: number;
    }
  | {
      readonly kind: 'note';
      readonly id: number;
      readonly sightings: Sightings;
      readonly actor: Actor;
    }
  /** There is nothing more to do. */
  | { readonly kind: 'close' };

export type OfficeAnswer =
  | { readonly id: number; readonly revoked: RevocationResult }
  | { readonly id: number; readonly published: number }
  | { readonly id: number; readonly noted: NotedSightings }
  | { readonly id: number; readonly failed: OfficeFailure };

/** An error as it goes from thread to thread, which does not keep its class. */
export interface OfficeFailure {
  /** Undefined: none of ours. */
  readonly code?: ErrorCode;
  readonly message: string;
  readonly field?: string;
  /** For the log. */
  readonly stack?: string;
}
