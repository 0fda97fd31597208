import { equalBytes, toHex } from '../../../core/bytes.ts';
import { BirthmarkError } from '../../../core/errors.ts';
import { EXTENDED_KEY_USAGE } from '../../../x509/extensions.ts';
import { ATTRIBUTE_OIDS, nameToText, parseName } from '../../../x509/name.ts';
import { issuerFault } from '../../../x509/path/check-path.ts';
import { PathCertificate } from '../../../x509/path/path-certificate.ts';
import { openTrust } from '../../../x509/path/trust.ts';
import { validatePath } from '../../../x509/path/validate-path.ts';
import { keyIdentifier } from '../../../x509/public-key.ts';
import { type CredentialId, readCredential } from '../../credential.ts';
import { type KeyDemand, keyFault } from '../../key-demand.ts';
import type { TrustedNamespace } from '../../policy.ts';

/** A CA that may issue clients. */
export interface TrustedIssuer {
  /** Its subject, DER. */
  readonly name: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** `keyIdentifier` of its key, hexadecimal. */
  readonly keyId: string;
  /** Where its subject has exactly one. */
  readonly commonName: string | undefined;
  readonly namespace: string;
  /** As `TrustedNamespace` has it. */
  readonly guests?: TrustedNamespace['guests'];
  /** Milliseconds since the epoch: when every certificate from it to its anchor is valid. */
  readonly from: number;
  readonly until: number;
  /** Itself and those above it that can be taken back; empty for an anchor. */
  readonly path: readonly CredentialId[];
}

/**
 * The CAs that a policy trusts to issue clients: its anchors and intermediates, but for those that may issue no certificates
 * or none for clients, and those with other keys than are demanded on their path.
 *
 * @param known CA certificates beside those: one that leads to no anchor does not count
 * @throws BirthmarkError `config-invalid` for an intermediate that leads to no anchor, or where no CA is left
 */
export function readIssuers(
  namespaces: readonly TrustedNamespace[],
  keys: KeyDemand,
  known: readonly Uint8Array[] = [],
): readonly TrustedIssuer[] {
  const anchors = namespaces.flatMap((one) => one.anchors);
  const given = namespaces.flatMap((one) => one.intermediates);
  const trust = openTrust({ anchors, intermediates: [...given, ...known] });
  const issuers: TrustedIssuer[] = [];
  const ownerOf = (anchor: Uint8Array | undefined) =>
    namespaces.find((one) => one.anchors.some((der) => anchor && equalBytes(der, anchor)));
  // When it is valid is told to the plugin, so one that is not yet, or no more, is no fault here.
  const findPath = (der: Uint8Array) => {
    const verdict = validatePath(der, { trust, at: 0, purpose: 'any', validity: 'none' });
    const path = verdict.reason === 'ok' ? verdict.path : undefined;
    const owner = ownerOf(path?.at(-1));
    return path && owner ? { path, owner } : verdict.detail;
  };
  for (const trusted of namespaces) {
    for (const anchor of trusted.anchors) issuers.push(...readIssuer([anchor], trusted, keys));
    for (const der of trusted.intermediates) {
      const found = findPath(der);
      if (typeof found === 'string')
        throw new BirthmarkError(
          'config-invalid',
          `trust: an intermediate of namespace ${trusted.namespace} leads to no anchor: ${found}`,
          { field: 'trust' },
        );
      issuers.push(...readIssuer(found.path, found.owner, keys));
    }
  }
  for (const der of known) {
    const found = findPath(der);
    const read = typeof found === 'string' ? [] : readIssuer(found.path, found.owner, keys);
    // What is there already, or another certificate of its key.
    issuers.push(...read.filter(({ keyId }) => issuers.every((one) => one.keyId !== keyId)));
  }
  if (issuers.length > 0) return issuers;
  throw new BirthmarkError(
    'config-invalid',
    'trust: none of these CAs may issue clients, with keys that the listener demands',
    {
      field: 'trust',
    },
  );
}

function readIssuer(
  path: readonly Uint8Array[],
  { namespace, guests }: TrustedNamespace,
  keys: KeyDemand,
): readonly TrustedIssuer[] {
  if (keyFault(path, keys) !== undefined) return [];
  const read = path.map((der) => new PathCertificate(der));
  const [issuer] = read;
  if (!issuer || !read.every((one, at) => mayIssueClients(one, at === read.length - 1))) return [];
  const { subject, spki } = issuer.tbs;
  const names = parseName(subject)
    .flat()
    .filter(({ oid }) => oid === ATTRIBUTE_OIDS.CN);
  return [
    {
      name: subject,
      spki,
      keyId: toHex(keyIdentifier(spki)),
      commonName: names.length === 1 ? names[0]?.value : undefined,
      namespace,
      ...(guests && { guests }),
      from: Math.max(...read.map(({ tbs }) => tbs.notBefore.at)),
      until: Math.min(...read.map(({ tbs }) => tbs.notAfter.at)),
      path: path.length > 1 ? readCredential(path, namespace).path : [],
    },
  ];
}

/** As path validation has it: an anchor's own purposes do not count. */
function mayIssueClients(certificate: PathCertificate, anchor: boolean): boolean {
  const { rules } = certificate;
  if (rules instanceof BirthmarkError)
    throw new BirthmarkError(
      'config-invalid',
      `trust: "${nameToText(certificate.tbs.subject)}" cannot be used: ${rules.message}`,
      { field: 'trust', cause: rules },
    );
  if (issuerFault(certificate, rules)) return false;
  return anchor || !rules.extendedKeyUsage || rules.extendedKeyUsage.includes(EXTENDED_KEY_USAGE.clientAuth);
}
