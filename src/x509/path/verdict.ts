import type { TbsCertificate } from '../certificate.ts';
import type { ToldReason } from '../crl-reason.ts';
import type { CertificateRules } from './certificate-rules.ts';

/** What a path can be refused for; with `ok`, the closed list of reasons that a verdict has. */
export const REFUSALS = [
  'expired',
  'notYetValid',
  'revoked',
  'onHold',
  'statusUnknown',
  'untrusted',
  'badSignature',
  'weak',
  'wrongUsage',
  'nameConstraint',
  'policy',
  'malformed',
] as const;

export type Refusal = (typeof REFUSALS)[number];

/** Why a status is not known. `unreachable` is for those who fetch: nothing here does. */
export type StatusGap = 'stale' | 'unreachable' | 'unknown';

/** What was found against a path: one rule, one certificate. */
export type Fault =
  | {
      readonly reason: Exclude<Refusal, 'revoked' | 'onHold' | 'statusUnknown'>;
      /** For people: names the certificate and the rule. */
      readonly detail: string;
    }
  | {
      readonly reason: 'revoked' | 'onHold';
      readonly detail: string;
      readonly revocationReason: ToldReason;
      /** Milliseconds since the epoch. */
      readonly revokedAt: number;
    }
  | { readonly reason: 'statusUnknown'; readonly detail: string; readonly gap: StatusGap };

export interface Accepted {
  readonly reason: 'ok';
  readonly detail: string;
  /** DER, from the leaf to the anchor. */
  readonly path: readonly Uint8Array[];
  /** The first of the path, as read. */
  readonly leaf: TbsCertificate;
  /** What the leaf's extensions say. */
  readonly leafRules: CertificateRules;
  /**
   * Milliseconds since the epoch: the earliest end of a certificate of the path or of a status that was used. The
   * verdict holds until then, as far as what was given says.
   */
  readonly lookAgainAt: number;
}

export type Refused = Fault & {
  /** DER, from the leaf to the anchor; absent where no path to an anchor was found. */
  readonly path?: readonly Uint8Array[];
};

export type Verdict = Accepted | Refused;
