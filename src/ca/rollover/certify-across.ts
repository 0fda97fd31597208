import type { Authority } from '../authority.ts';
import {
  asIssuer,
  type CertifiedCa,
  type CertifyingCa,
  type CertifyOptions,
  certifyCa,
} from '../certify-ca.ts';

/** One root's key, certified by another root. */
export interface CertifiedAcross {
  readonly subject: string;
  readonly issuer: string;
  readonly certified: CertifiedCa;
}

const DAY_MS = 86_400_000;

/**
 * Certifies a new root's key by each of those before it, and theirs by the new one: old-with-new and new-with-old of
 * RFC 4210 §4.4, which EST hands out (RFC 7030 §4.1.3). Whoever trusts one of them accepts what stands under the others. None
 * outlives the root whose key it is, or the one that signed it.
 *
 * @throws BirthmarkError as `certifyCa`
 */
export async function certifyAcross(
  root: CertifyingCa,
  before: readonly Authority[],
  options: CertifyOptions,
): Promise<readonly CertifiedAcross[]> {
  const across: CertifiedAcross[] = [];
  for (const old of before) {
    const other = asIssuer(old.name, old.signer, old.certificate.raw);
    across.push(await certify(root, other, options), await certify(other, root, options));
  }
  return across;
}

async function certify(
  { name, signer, certificate }: CertifyingCa,
  issuer: CertifyingCa,
  options: CertifyOptions,
): Promise<CertifiedAcross> {
  const end = certificate?.tbs.notAfter.at ?? options.now;
  const certified = await certifyCa(
    {
      ...{ name, spki: signer.spki, subject: certificate?.tbs.subject ?? new Uint8Array() },
      validityDays: Math.max(1, Math.floor((end - options.now) / DAY_MS)),
      ...{ pathLength: 1, profile: 'cross', holder: `${name} by ${issuer.name}` },
    },
    issuer,
    options,
  );
  return { subject: name, issuer: issuer.name, certified };
}
