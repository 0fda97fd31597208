import type { CertificateView } from './view/certificate-view.ts';

/** What a certificate is to be; `ca` is any authority's, a root's too. */
export type LintKind = 'idevid' | 'ldevid' | 'server' | 'operator' | 'ocsp-responder' | 'ca';

/**
 * `error`: a standard forbids it, or strangers will refuse or misread it; such a certificate is not signed.
 * `warning`: a standard says SHOULD otherwise. `notice`: worth knowing, allowed.
 */
export type LintSeverity = 'error' | 'warning' | 'notice';

export interface LintRule {
  /** Stable: scripts and exceptions name it. */
  readonly id: string;
  readonly severity: LintSeverity;
  /** The kinds of certificates that it is asked of. */
  readonly kinds: readonly LintKind[];
  /** What must be at hand beside the tbsCertificate; without it the rule is passed over. */
  readonly needs?: 'issuer' | 'signature';
  /** Who says so. Several are joined by a semicolon. */
  readonly source: string;
  /** What must hold, in one sentence. */
  readonly what: string;
  /** Says how a certificate breaks the rule, or nothing. Pure. */
  readonly check: (certificate: CertificateView) => string | undefined;
}

/** One rule that a certificate breaks. */
export interface LintFinding {
  readonly rule: string;
  readonly severity: LintSeverity;
  readonly detail: string;
  readonly source: string;
}

export const ALL_KINDS: readonly LintKind[] = [
  'idevid',
  'ldevid',
  'server',
  'operator',
  'ocsp-responder',
  'ca',
];
export const END_ENTITIES: readonly LintKind[] = ['idevid', 'ldevid', 'server', 'operator', 'ocsp-responder'];
export const DEVICES: readonly LintKind[] = ['idevid', 'ldevid'];
