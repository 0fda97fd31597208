import type { CrlFrame } from '../crl-frame.ts';
import {
  ALL_REASONS,
  type DistributionPoint,
  distributionPointKeys,
  generalNameKeys,
} from '../distribution-point.ts';
import { GENERAL_NAME } from '../general-name.ts';

/** The certificate whose status is asked for. */
export interface CrlTarget {
  readonly ca: boolean;
  /** Name, DER. */
  readonly issuer: Uint8Array;
  /** See `nameKey`. */
  readonly issuerKey: string;
}

/** Where a certificate names no distribution point, or those that it names do not do (RFC 5280 §6.3.3, last paragraphs). */
export const ISSUER_AS_POINT: DistributionPoint = {
  name: undefined,
  reasons: ALL_REASONS,
  crlIssuer: undefined,
};

/**
 * The reasons of which a CRL speaks for a certificate and one of its distribution points, as bits; 0 where it does not
 * speak of the certificate at all (RFC 5280 §6.3.3 (b) and (d)).
 */
export function reasonsInScope(
  { issuerKey, issuer, distributionPoint: idp }: Pick<CrlFrame, 'issuerKey' | 'issuer' | 'distributionPoint'>,
  point: DistributionPoint,
  target: CrlTarget,
): number {
  // (b) (1): a CRL under another name must be asked for, and must say that it is indirect.
  if (point.crlIssuer) {
    const named = generalNameKeys(point.crlIssuer).includes(`d${issuerKey}`);
    if (!named || !idp?.indirectCrl) return 0;
  } else if (issuerKey !== target.issuerKey) return 0;
  if (!idp) return point.reasons;
  // (b) (2) (i)
  if (idp.name) {
    const said = distributionPointKeys(idp.name, issuer);
    if (!pointKeys(point, target).some((key) => said.includes(key))) return 0;
  }
  // (b) (2) (ii) to (iv)
  if (target.ca ? idp.onlyContainsUserCerts : idp.onlyContainsCaCerts) return 0;
  if (idp.onlyContainsAttributeCerts) return 0;
  return point.reasons & idp.reasons;
}

function pointKeys(
  { name, crlIssuer }: DistributionPoint,
  { issuer, issuerKey }: CrlTarget,
): readonly string[] {
  if (!name) return crlIssuer ? generalNameKeys(crlIssuer) : [`d${issuerKey}`];
  const signer = crlIssuer?.find(({ kind }) => kind === GENERAL_NAME.directory)?.content ?? issuer;
  return distributionPointKeys(name, signer);
}
