import { equalBytes } from '../core/bytes.ts';
import { readCertificate } from '../x509/certificate.ts';
import { PathCertificate } from '../x509/path/path-certificate.ts';
import { openTrust } from '../x509/path/trust.ts';
import { validatePath } from '../x509/path/validate-path.ts';

export interface TrustUpdate {
  readonly anchors: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
  /** New roots that no root of ours vouches for. */
  readonly refused: readonly Uint8Array[];
}

export interface TrustRules {
  /** Roots that we have, DER. */
  readonly anchors: readonly Uint8Array[];
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Whether a new root is taken for the channel's sake alone (RFC 7030 §4.1.3), without one of ours vouching for it. */
  readonly acceptUnlinked: boolean;
  /** What must still verify with the new roots: ours must never be dropped from under what we have. */
  readonly mustHold: readonly (readonly Uint8Array[])[];
}

/**
 * What CA certificates that came over an authenticated channel make of our trust. A root that we have stays while it is told. A new
 * one is taken where one of ours signed its key under its name (NewWithOld, RFC 4210 §4.4, RFC 7030 §4.1.3), so that whoever
 * only has the server's TLS key cannot change what a fleet trusts. A root that is not told any more goes, unless something
 * of ours still stands on it.
 *
 * @param told DER, in any order
 */
export function updateTrust(told: readonly Uint8Array[], rules: TrustRules): TrustUpdate {
  const { anchors, at, acceptUnlinked, mustHold } = rules;
  const readable = told.filter((der) => openTrust({ anchors: [der] }).unreadable.length === 0);
  const roots = readable.filter(isSelfSigned);
  const intermediates = readable.filter((der) => !roots.includes(der));
  const vouched = (root: Uint8Array) =>
    has(anchors, root) || acceptUnlinked || intermediates.some((link) => isLink(link, root, anchors, at));
  const taken = roots.filter(vouched);
  const refused = roots.filter((root) => !vouched(root));
  const needed = anchors.filter(
    (anchor) => !has(taken, anchor) && mustHold.some((chain) => !holds(chain, taken, intermediates, at)),
  );
  return { anchors: [...taken, ...needed], intermediates, refused };
}

/** A certificate of the root's key and name, made by a root of ours. */
function isLink(link: Uint8Array, root: Uint8Array, anchors: readonly Uint8Array[], at: number): boolean {
  const [a, b] = [link, root].map((der) => readCertificate(der).tbs);
  if (!a || !b || !equalBytes(a.spki, b.spki) || !equalBytes(a.subject, b.subject)) return false;
  const trust = openTrust({ anchors });
  return validatePath(link, { trust, at, purpose: 'any' }).reason === 'ok';
}

function holds(
  [leaf, ...chain]: readonly Uint8Array[],
  anchors: readonly Uint8Array[],
  intermediates: readonly Uint8Array[],
  at: number,
): boolean {
  if (!leaf) return true;
  const trust = openTrust({ anchors, intermediates });
  return (
    validatePath(leaf, { trust, untrusted: chain, at, purpose: 'any', validity: 'none' }).reason === 'ok'
  );
}

function isSelfSigned(der: Uint8Array): boolean {
  const certificate = new PathCertificate(der);
  if (!equalBytes(certificate.tbs.subject, certificate.tbs.issuer)) return false;
  return (
    validatePath(der, { trust: openTrust({ anchors: [der] }), at: 0, validity: 'none', purpose: 'any' })
      .reason === 'ok'
  );
}

function has(list: readonly Uint8Array[], one: Uint8Array): boolean {
  return list.some((other) => equalBytes(other, one));
}
