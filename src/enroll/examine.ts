import { checkPublicKey, type KeyPolicy } from '../ca/key-policy/check-public-key.ts';
import type { Holder } from '../ca/prepare.ts';
import type { Profile } from '../ca/profile.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { HardwareModule } from '../fleet/ports.ts';
import { type CertificateRequest, parseCsr, verifyPossession } from '../x509/csr.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import { hashKey, keyIdentifier, type PublicKeyInfo, parsePublicKey } from '../x509/public-key.ts';

const EMPTY_NAME_OCTETS = 2;

/** Limits on keys that no profile sets. */
export type KeyLimits = Omit<KeyPolicy, 'allowed'>;

export interface ExaminedCsr {
  readonly csr: CertificateRequest;
  readonly keyHash: Uint8Array;
}

/**
 * Everything about a CSR that needs no ledger: strict reading, proof of possession before anything else is believed
 * (RFC 7030 §4.2.1), then the key policy of the profile.
 *
 * @param der PKCS#10, DER
 * @param authoritySpki the authority's key, DER, for profiles that want one algorithm in the chain
 * @throws BirthmarkError `bad-csr`, `bad-der`, `proof-of-possession-failed`, `key-…`, `signature-algorithm-not-allowed`
 */
export function examineCsr(
  der: Uint8Array,
  profile: Profile,
  limits: KeyLimits,
  authoritySpki: Uint8Array,
): ExaminedCsr {
  const csr = parseCsr(der);
  try {
    verifyPossession(csr);
  } catch (error) {
    // A library that cannot import a key says so without a reason; our own check may know one.
    if (error instanceof BirthmarkError && error.code === 'key-unreadable')
      refuseWeakKey(csr, profile, limits, false);
    throw error;
  }
  refuseWeakKey(csr, profile, limits, true);
  if (
    profile.sameAlgorithmChain &&
    algorithmOf(csr.publicKey) !== algorithmOf(parsePublicKey(authoritySpki))
  ) {
    throw new BirthmarkError(
      'key-algorithm-not-allowed',
      `profile ${profile.name} wants a key of its authority's algorithm`,
      { field: 'csr' },
    );
  }
  return { csr, keyHash: hashKey(csr.spki) };
}

function refuseWeakKey(
  csr: CertificateRequest,
  profile: Profile,
  limits: KeyLimits,
  pointProven: boolean,
): void {
  const finding = checkPublicKey(csr.publicKey, { allowed: profile.allowedKeys, ...limits }, { pointProven });
  if (finding) throw new BirthmarkError(finding.code, finding.detail, { field: 'csr' });
}

function algorithmOf(key: PublicKeyInfo): string {
  return key.kind === 'ec' ? key.curve : key.kind;
}

/**
 * Refuses a CSR that names another device than the one that is enrolled. Other names in it are merely not granted.
 *
 * @throws BirthmarkError `serial-number-mismatch`, `bad-der`
 */
export function refuseOtherDevice(csr: CertificateRequest, serialNumber: string): void {
  if (csr.subject.length <= EMPTY_NAME_OCTETS) return;
  for (const { oid, value } of parseName(csr.subject).flat()) {
    if (oid !== ATTRIBUTE_OIDS.serialNumber || value === serialNumber) continue;
    throw new BirthmarkError(
      'serial-number-mismatch',
      `the CSR's subject has serialNumber=${JSON.stringify(value).slice(0, 80)}, but this is the enrollment of ${JSON.stringify(serialNumber)}`,
      { field: 'csr' },
    );
  }
}

/** What the certificate of a device says: only what is known of the device, never what its CSR says. */
export function deviceHolder(
  profile: Profile,
  csr: CertificateRequest,
  device: { readonly serialNumber: string; readonly model?: string; readonly hardware?: HardwareModule },
): Holder {
  const { serialNumber, model, hardware } = device;
  const commonName = profile.commonName === 'holder' ? serialNumber : model;
  return {
    serialNumber,
    ...(commonName === undefined ? {} : { commonName }),
    altNames: profile.hardwareModuleName && hardware ? [{ kind: 'hardwareModule', ...hardware }] : [],
    spki: csr.spki,
    ...(profile.subjectKeyIdentifier ? { keyId: keyIdentifier(csr.spki) } : {}),
  };
}
