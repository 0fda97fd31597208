import { hash } from 'node:crypto';
import type { CredentialId } from './credential.ts';

/** Octets of a digest that tell it apart from all others. */
export const DIGEST_OCTETS = 16;

/** What is denied: one certificate, or every certificate for a key. */
export interface DeniedEntry {
  readonly kind: 'certificate' | 'key';
  /** See `certificateDigest` and `keyDigest`; `DIGEST_OCTETS` octets. */
  readonly digest: Uint8Array;
}

export interface DeniedChange extends DeniedEntry {
  /** False: it is denied no more (a hold was released). */
  readonly denied: boolean;
}

/** How far what is known of revocation reaches. */
export interface KnownPosition {
  /** 1 to 64 characters. */
  readonly epoch: string;
  readonly sequence: number;
  /** Milliseconds since the epoch: nothing from before is missing. */
  readonly asOf: number;
}

/** All that is denied, as the status feed's table holds it. */
export interface DeniedSource {
  position(): KnownPosition;
  /** Everything that is denied now; changes that come while it is read may be in it or not. */
  denied(): Iterable<DeniedEntry>;
  isDenied(id: CredentialId): boolean;
  /**
   * Whether it would know of what that CA issued: of any other, that nothing is said does not mean good.
   *
   * @param issuerKeyId hexadecimal
   */
  knowsIssuer(issuerKeyId: string): boolean;
}

/**
 * Of the issuer's key identifier and the serial number, without the zeros in front that are the INTEGER's encoding.
 *
 * @param issuerKeyId hexadecimal, as `CredentialId` has it
 */
export function certificateDigest({ issuerKeyId, serial }: Pick<CredentialId, 'issuerKeyId' | 'serial'>) {
  const keyId = Buffer.from(issuerKeyId, 'hex');
  const number = Buffer.from(serial.replace(/^(?:00)+(?=..)/, ''), 'hex');
  const octets = Buffer.concat([Uint8Array.of(keyId.length), keyId, number]);
  return hash('sha256', octets, 'buffer').subarray(0, DIGEST_OCTETS);
}

/** @param keyHash SHA-256 of the SubjectPublicKeyInfo, hexadecimal */
export function keyDigest(keyHash: string): Buffer {
  return Buffer.from(keyHash, 'hex').subarray(0, DIGEST_OCTETS);
}
