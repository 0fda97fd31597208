/** CRLReason by name (RFC 5280 §5.3.1). unspecified is said by leaving the reason out, 7 is not used. */
export const CRL_REASON = {
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  /** In deltas only: the certificate leaves the list. */
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

export type CrlReasonName = keyof typeof CRL_REASON;

/** What is said of a revocation: `unspecified` also where an entry gives no reason. */
export type ToldReason = CrlReasonName | 'unspecified';

/** The same by number, with 0 for unspecified; undefined where no reason has the number. */
export const CRL_REASON_NAMES: readonly (ToldReason | undefined)[] = byNumber();

function byNumber(): (ToldReason | undefined)[] {
  const names: (ToldReason | undefined)[] = ['unspecified'];
  for (const name of Object.keys(CRL_REASON).filter(isReason)) names[CRL_REASON[name]] = name;
  return names;
}

function isReason(name: string): name is CrlReasonName {
  return Object.hasOwn(CRL_REASON, name);
}
