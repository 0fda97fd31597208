import { checkPublicKey, type KeyPolicy } from '../ca/key-policy/check-public-key.ts';
import type { Holder } from '../ca/prepare.ts';
import type { Profile } from '../ca/profile.ts';
import { BirthmarkError } from '../core/errors.ts';
import { OWN_NAMESPACE } from '../core/identifiers.ts';
import type { HardwareModule } from '../fleet/ports.ts';
import { type CertificateRequest, parseCsr, verifyPossession } from '../x509/csr.ts';
import { ATTRIBUTE_OIDS, parseName, type ReadAttribute } from '../x509/name.ts';
import { hashKey, keyIdentifier, type PublicKeyInfo, parsePublicKey } from '../x509/public-key.ts';

const EMPTY_NAME_OCTETS = 2;

/** Limits on keys that no profile sets. */
export type KeyLimits = Omit<KeyPolicy, 'allowed'>;

/** A CSR that was read and no more: nothing it says is believed yet. */
export interface ReadCsr {
  readonly csr: CertificateRequest;
  /** What its subject asks for. */
  readonly asked: readonly ReadAttribute[];
}

/**
 * Reads a CSR strictly. What would cost too much to verify is refused here already.
 *
 * @param der PKCS#10, DER
 * @throws BirthmarkError `bad-csr`, `bad-der`, `signature-algorithm-not-allowed`, `key-algorithm-not-allowed`,
 *   `key-unreadable`, `key-too-large`
 */
export function readCsr(der: Uint8Array, limits: KeyLimits): ReadCsr {
  const csr = parseCsr(der);
  const { publicKey, subject } = csr;
  if (publicKey.kind === 'rsa' && publicKey.bits > limits.maxRsaBits) {
    throw new BirthmarkError(
      'key-too-large',
      `the RSA key has ${publicKey.bits} bits; make one with at most ${limits.maxRsaBits}`,
      { field: 'csr' },
    );
  }
  return { csr, asked: subject.length <= EMPTY_NAME_OCTETS ? [] : parseName(subject).flat() };
}

/**
 * Proof of possession, before anything else that the CSR says is believed (RFC 7030 §4.2.1).
 *
 * @throws BirthmarkError `proof-of-possession-failed`, `key-…`
 */
export function proveCsr(csr: CertificateRequest, profile: Profile, limits: KeyLimits): void {
  try {
    verifyPossession(csr);
  } catch (error) {
    // A library that cannot import a key says so without a reason; our own check may know one.
    if (error instanceof BirthmarkError && error.code === 'key-unreadable')
      refuseWeakKey(csr, profile, limits, false);
    throw error;
  }
}

/**
 * The key policy, for a key that is proven.
 *
 * @param authoritySpki the authority's key, DER, for profiles that want one algorithm in the chain
 * @returns the SHA-256 of its SubjectPublicKeyInfo
 * @throws BirthmarkError `key-…`
 */
export function acceptKey(
  csr: CertificateRequest,
  profile: Profile,
  limits: KeyLimits,
  authoritySpki: Uint8Array,
): Uint8Array {
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
  return hashKey(csr.spki);
}

function refuseWeakKey(
  csr: CertificateRequest,
  profile: Profile,
  limits: KeyLimits,
  pointProven: boolean,
): void {
  const policy = { allowed: profile.allowedKeys, ...limits };
  const finding = checkPublicKey(csr.publicKey, policy, { pointProven });
  if (finding) throw new BirthmarkError(finding.code, finding.detail, { field: 'csr' });
}

function algorithmOf(key: PublicKeyInfo): string {
  return key.kind === 'ec' ? key.curve : key.kind;
}

/**
 * Refuses a CSR that names another device than the one that is enrolled. Other names in it are merely not granted.
 *
 * @throws BirthmarkError `serial-number-mismatch`
 */
export function refuseOtherDevice(asked: readonly ReadAttribute[], serialNumber: string): void {
  for (const { oid, value } of asked) {
    if (oid !== ATTRIBUTE_OIDS.serialNumber || value === serialNumber) continue;
    throw new BirthmarkError(
      'serial-number-mismatch',
      `the CSR's subject has serialNumber=${JSON.stringify(value).slice(0, 80)}, ` +
        `but this is the enrollment of ${JSON.stringify(serialNumber)}`,
      { field: 'csr' },
    );
  }
}

/** What the certificate of a device says: only what is known of the device, never what its CSR says. */
export function deviceHolder(
  profile: Profile,
  csr: CertificateRequest,
  device: {
    readonly namespace?: string;
    readonly serialNumber: string;
    readonly model?: string;
    readonly hardware?: HardwareModule;
  },
): Holder {
  const { namespace = OWN_NAMESPACE, serialNumber, model, hardware } = device;
  const commonName = profile.commonName === 'holder' ? serialNumber : model;
  return {
    serialNumber,
    // Two makers may use one number: without this their devices would have one subject.
    ...(namespace === OWN_NAMESPACE ? {} : { namespace }),
    ...(commonName === undefined ? {} : { commonName }),
    altNames: profile.hardwareModuleName && hardware ? [{ kind: 'hardwareModule', ...hardware }] : [],
    spki: csr.spki,
    ...(profile.subjectKeyIdentifier ? { keyId: keyIdentifier(csr.spki) } : {}),
  };
}
