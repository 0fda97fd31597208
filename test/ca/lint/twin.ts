import type { LintKind } from '../../../src/ca/lint/rule.ts';
import type { Certificate } from '../../../src/x509/certificate.ts';
import type { Change, Parts } from './certificate-builder.ts';

/** Two certificates that differ in one thing: nothing is found in the first, the rule in the second. */
export interface Twin {
  readonly rule: string;
  readonly kind: LintKind;
  /** What makes the accepted one out of the good one of its kind; the good one itself where it is not given. */
  readonly accepts?: Change;
  /** What makes the refused one, starting from the good one. */
  readonly refuses: Change;
  /** Findings that the accepted one has on purpose. */
  readonly aside?: readonly string[];
  /** Findings that the refused one cannot be without. */
  readonly also?: readonly string[];
  /** Encodes the refused one where parts cannot say it. */
  readonly encodes?: (parts: Parts) => Uint8Array;
  /** Makes a signed certificate of the refused parts; the accepted ones are signed then as they should be. */
  readonly signs?: (parts: Parts) => Uint8Array;
  /** The authority's certificate for the refused one; by default a good one for both. */
  readonly refusedIssuer?: () => Certificate;
  /** TCG policies with an attestation, for the accepted one. */
  readonly attested?: readonly string[];
}
