import { checkPublicKey, type KeyPolicy } from '../../ca/key-policy/check-public-key.ts';
import type { CertificateRecord } from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readTbsCertificate } from '../../x509/certificate.ts';
import { type PublicKeyInfo, parsePublicKey } from '../../x509/public-key.ts';
import type { Finding } from './ports.ts';
import type { HygieneLimits } from './settings.ts';

/** A device's certificate as the judge sees it. */
export interface JudgedCertificate {
  readonly record: CertificateRecord;
  /** Neither revoked nor ended; held ones stand too. */
  readonly stands: boolean;
  readonly isLdevid: boolean;
  readonly keyBlocked: boolean;
  /** Milliseconds since the epoch. */
  readonly lastSeenAt?: number;
}

const DAY_MS = 86_400_000;
const NEAR = 0.9;

/**
 * What is to be said of a device's certificates that stand. Pure.
 *
 * - `near-cryptoperiod`: nine tenths of the cryptoperiod are over since the key's first certificate (NIST SP 800-57 Part 1 §5.3.6).
 * - `never-rotated`: its first LDevID is old, and it never had another LDevID key.
 * - `silent`: nobody has seen any of its LDevIDs for long.
 */
export function judgeDevice(
  deviceId: number,
  certificates: readonly JudgedCertificate[],
  limits: HygieneLimits,
  keyLimits: Omit<KeyPolicy, 'allowed'>,
  now: number,
): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (kind: Finding['kind'], { id }: CertificateRecord, detail: string) =>
    findings.push({ kind, certificateId: id, deviceId, detail, foundAt: now });
  const standing = certificates.filter(({ stands }) => stands);
  const ldevids = certificates.filter(({ isLdevid }) => isLdevid);
  const firstOf = Map.groupBy(certificates, ({ record }) => toHex(record.keyHash));

  for (const { record, keyBlocked, isLdevid } of standing) {
    const weakness = weaknessOf(record, keyLimits);
    if (weakness !== undefined) add('weak-key', record, weakness);
    if (keyBlocked) add('blocked-key', record, 'its key is on the block list, and its certificate stands');
    const keySince = Math.min(
      ...(firstOf.get(toHex(record.keyHash)) ?? []).map((one) => one.record.reservedAt),
    );
    const ageDays = (now - keySince) / DAY_MS;
    if (isLdevid && ageDays >= NEAR * limits.cryptoperiodDays)
      add(
        'near-cryptoperiod',
        record,
        `its key is ${Math.floor(ageDays)} of ${limits.cryptoperiodDays} days old`,
      );
  }

  const live = standing.filter(({ isLdevid }) => isLdevid);
  const since = Math.min(...ldevids.map(({ record }) => record.reservedAt));
  const keys = new Set(ldevids.map(({ record }) => toHex(record.keyHash)));
  const firstDays = (now - since) / DAY_MS;
  const seen = Math.max(...ldevids.map(({ lastSeenAt, record }) => lastSeenAt ?? record.reservedAt));
  const silentDays = (now - seen) / DAY_MS;
  for (const { record } of live) {
    if (keys.size === 1 && firstDays >= limits.rotateDays)
      add(
        'never-rotated',
        record,
        `the device has had this one LDevID key for ${Math.floor(firstDays)} days`,
      );
    if (silentDays >= limits.silentDays)
      add('silent', record, `the device was not seen for ${Math.floor(silentDays)} days`);
  }
  return findings;
}

/** The public key of a certificate; undefined where this program cannot read it. */
export function keyOf({ tbs }: Pick<CertificateRecord, 'tbs'>): PublicKeyInfo | undefined {
  try {
    return parsePublicKey(readTbsCertificate(tbs).spki);
  } catch (error) {
    if (error instanceof BirthmarkError) return undefined;
    throw error;
  }
}

function weaknessOf(record: CertificateRecord, limits: Omit<KeyPolicy, 'allowed'>): string | undefined {
  const key = keyOf(record);
  if (!key) return 'its key cannot be read by this version';
  const allowed = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'] as const;
  const finding = checkPublicKey(key, { ...limits, allowed });
  return finding && `${finding.code}: ${finding.detail}`;
}
