import type { CertificateFacts, KeyRecord } from '../ca/ports.ts';
import type { Profile } from '../ca/profile.ts';
import type { RevocationRecord } from '../ca/revocation/ports.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { DeviceRecord } from './ports.ts';

/** What the ledger knows that bears on one request. */
export interface KnownIdentity {
  /** The device that asks, if it was seen before. */
  readonly device?: DeviceRecord;
  /** The key that it comes with, if it was seen before, with this device or elsewhere. */
  readonly key?: KeyRecord;
  /** All that was issued to the device, oldest first. */
  readonly certificates: readonly CertificateFacts[];
  /** Those of them that were taken back or are held, by id. */
  readonly revocations: ReadonlyMap<number, RevocationRecord>;
}

export type IdentityVerdict =
  | { readonly kind: 'issue'; readonly usesRebirth: boolean }
  | { readonly kind: 'repeat'; readonly certificate: CertificateFacts }
  /** `incident` names what a person should look at. */
  | { readonly kind: 'refuse'; readonly error: BirthmarkError; readonly incident?: 'key-in-use' };

/** Reasons that say nothing against the key or its holder; undefined: unspecified. */
const REPLACEABLE: ReadonlySet<RevocationRecord['reason']> = new Set(['superseded', undefined]);

/**
 * Decides whether a device may have a certificate of a profile for a key. Pure: the caller holds the ledger still.
 *
 * - A blocked key gets nothing, whoever brings it.
 * - A key belongs to one holder for ever. The same key with another device is cloned firmware until proven otherwise.
 * - The same device, key and profile gets the same certificate until that expires, so a lost answer is repaired by asking again.
 * - A certificate that was taken back is given to nobody again. One that was merely replaced (superseded), or taken back
 *   without a reason, may be followed by another one of that profile for the same key, if who vouches still stands; any other
 *   reason speaks against the holder of the key, who then needs a new key for that profile. While one is held there is none
 *   of that profile for its key.
 * - A device is born once: another IDevID, also in the place of a revoked one, only when an operator allowed it, so that a stolen factory
 *   token does not clone devices in the field.
 *
 * @param idevidProfiles names of the profiles of kind idevid
 * @param now milliseconds since the epoch
 * @param renewed serial of the certificate that vouches for this one and is to be followed by it: the same key may then have
 *   another certificate, unless it has a newer one already
 * @param issuer the generation of the profile's authority that issues now: what one before it issued is not given again, since
 *   who asks is to come over; but for an IDevID, which is there once
 */
export function decideIdentity(
  profile: Profile,
  keyHash: Uint8Array,
  known: KnownIdentity,
  idevidProfiles: ReadonlySet<string>,
  now: number,
  renewed?: Uint8Array,
  issuer?: string,
): IdentityVerdict {
  const { device, key, certificates, revocations } = known;
  if (key?.blocked !== undefined) {
    return refuse(
      'key-blocked',
      'this key is on the block list and is never certified again; make a new key',
    );
  }
  if (key && (key.deviceId === undefined || key.deviceId !== device?.id)) {
    const error = new BirthmarkError(
      'key-in-use',
      `this key (SHA-256 of its SPKI ${toHex(keyHash)}) belongs to another device or service; every device needs a key of its own ` +
        '(a key pair inside a firmware image is the usual cause)',
      { field: 'csr' },
    );
    return { kind: 'refuse', error, incident: 'key-in-use' };
  }
  const same = certificates.findLast(
    (record) =>
      record.profile === profile.name && equalBytes(record.keyHash, keyHash) && record.notAfter > now,
  );
  const takenBack = same && revocations.get(same.id);
  if (takenBack?.held)
    return refuse(
      'certificate-held',
      'the certificate of this key is held; an operator must release it first',
    );
  if (takenBack && !REPLACEABLE.has(takenBack.reason)) {
    return refuse(
      'certificate-revoked',
      `the certificate of this key was revoked (${takenBack.reason}); make a new key`,
    );
  }
  const isOutdated =
    issuer !== undefined && profile.kind !== 'idevid' && same !== undefined && same.authority !== issuer;
  if (same && !takenBack && !isOutdated && !(renewed && equalBytes(same.serial, renewed)))
    return { kind: 'repeat', certificate: same };
  const bornWith = certificates.filter((record) => idevidProfiles.has(record.profile));
  if (profile.kind === 'idevid' && bornWith.length > 0) {
    if (device?.rebirthAllowed) return { kind: 'issue', usesRebirth: true };
    if (takenBack) {
      return refuse(
        'certificate-revoked',
        "this device's IDevID was revoked; if it may have another one, an operator must allow it first (birthmark device allow-rebirth)",
      );
    }
    return refuse(
      'device-already-born',
      'this device has its IDevID, and comes with another key; if that is right, an operator must allow it first (birthmark device allow-rebirth)',
    );
  }
  if (
    profile.newKey &&
    certificates.some((record) => record.profile !== profile.name && equalBytes(record.keyHash, keyHash))
  ) {
    return refuse(
      'key-in-use',
      `profile ${profile.name} wants a new key, and another certificate of this device has this one`,
    );
  }
  return { kind: 'issue', usesRebirth: false };
}

function refuse(
  code: 'key-blocked' | 'device-already-born' | 'key-in-use' | 'certificate-revoked' | 'certificate-held',
  message: string,
): IdentityVerdict {
  return { kind: 'refuse', error: new BirthmarkError(code, message, { field: 'csr' }) };
}
