import type { Certificate } from '../../x509/certificate.ts';
import type { LintFinding, LintKind, LintRule } from './rule.ts';
import { derRules, STRUCTURE_RULE } from './rules/der.ts';
import { LINT_RULES } from './rules.ts';
import {
  type CertificateView,
  readCertificateView,
  readTbsView,
  type Surroundings,
  type Unreadable,
} from './view/certificate-view.ts';

export interface LintContext {
  /** What the certificate is to be. */
  readonly kind: LintKind;
  /** The authority's certificate: without it the rules that need it are passed over. */
  readonly issuer?: Certificate;
  /** TCG policies (dotted) that an attestation of the device's key backs. */
  readonly attestedPolicies?: readonly string[];
}

const NOTHING: readonly LintFinding[] = Object.freeze([]);
const NO_POLICIES: readonly string[] = [];

/**
 * What a to-be-signed certificate breaks of the rules for its kind, in the order of `LINT_RULES`; nothing for a good
 * one. Takes any octets and never throws: what is no tbsCertificate is a finding too. An `error` must not be signed.
 *
 * @param tbs tbsCertificate, DER (RFC 5280 §4.1.2)
 */
export function lintTbsCertificate(tbs: Uint8Array, context: LintContext): readonly LintFinding[] {
  return judge(readTbsView(tbs, surroundingsOf(context)), context, false);
}

/**
 * As `lintTbsCertificate`, for a signed certificate: its two algorithms, its signature's form, and with `issuer`
 * whether the signature is that authority's.
 *
 * @param der Certificate, DER (RFC 5280 §4.1)
 */
export function lintCertificate(der: Uint8Array, context: LintContext): readonly LintFinding[] {
  return judge(readCertificateView(der, surroundingsOf(context)), context, true);
}

function judge(
  view: CertificateView | Unreadable,
  context: LintContext,
  signed: boolean,
): readonly LintFinding[] {
  if ('structure' in view) return judgeUnreadable(view);
  let findings: LintFinding[] | undefined;
  for (const rule of rulesFor(context.kind, signed, view.issuedBy !== undefined)) {
    const detail = rule.check(view);
    if (detail === undefined) continue;
    findings ??= [];
    findings.push(finding(rule, detail));
  }
  return findings ?? NOTHING;
}

/** What is no certificate has no fields to judge: only how its octets break DER is told. */
function judgeUnreadable({ faults, structure }: Unreadable): readonly LintFinding[] {
  const broken = derRules.flatMap((rule) => {
    const detail = rule.check({ faults });
    return detail === undefined ? [] : [finding(rule, detail)];
  });
  return [...broken, finding(STRUCTURE_RULE, structure)];
}

function finding({ id, severity, source }: LintRule, detail: string): LintFinding {
  return { rule: id, severity, detail, source };
}

/** The rules that apply, picked once for each kind and not for each certificate. */
const picked = new Map<LintKind, (readonly LintRule[] | undefined)[]>();

function rulesFor(kind: LintKind, signed: boolean, withIssuer: boolean): readonly LintRule[] {
  let choices = picked.get(kind);
  if (choices === undefined) {
    choices = [];
    picked.set(kind, choices);
  }
  const choice = (signed ? 2 : 0) + (withIssuer ? 1 : 0);
  let rules = choices[choice];
  if (rules === undefined) {
    rules = LINT_RULES.filter(
      ({ kinds, needs }) =>
        kinds.includes(kind) && (needs !== 'signature' || signed) && (needs !== 'issuer' || withIssuer),
    );
    choices[choice] = rules;
  }
  return rules;
}

/** Authorities' certificates as read: one is asked for with every certificate that it issues. */
const issuers = new WeakMap<Certificate, CertificateView | Unreadable>();
const NO_SURROUNDINGS: Surroundings = {
  issuedBy: undefined,
  issuerFault: undefined,
  attestedPolicies: NO_POLICIES,
};

function surroundingsOf({ issuer, attestedPolicies }: LintContext): Surroundings {
  if (issuer === undefined)
    return attestedPolicies === undefined ? NO_SURROUNDINGS : { ...NO_SURROUNDINGS, attestedPolicies };
  let view = issuers.get(issuer);
  if (view === undefined) {
    view = readCertificateView(issuer.raw, NO_SURROUNDINGS);
    issuers.set(issuer, view);
  }
  const policies = attestedPolicies ?? NO_POLICIES;
  return 'structure' in view
    ? { issuedBy: undefined, issuerFault: view.structure, attestedPolicies: policies }
    : { issuedBy: view, issuerFault: undefined, attestedPolicies: policies };
}
