import { BirthmarkError } from '../core/errors.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { type CurveName, parsePublicKey } from '../x509/public-key.ts';

/** Which keys a path may have, the anchor's too. */
export interface KeyDemand {
  readonly curves: readonly CurveName[];
  readonly ed25519: boolean;
  readonly minRsaBits: number;
}

/**
 * What a key of a path lacks; undefined where all are as demanded.
 *
 * @param path DER, from the leaf to the anchor
 */
export function keyFault(path: readonly Uint8Array[], demand: KeyDemand): string | undefined {
  for (const [at, der] of path.entries()) {
    const fault = faultOf(parseCertificate(der).tbs.spki, demand);
    if (fault !== undefined) return `${at === 0 ? 'its key' : 'a key above it'} is ${fault}`;
  }
  return undefined;
}

function faultOf(spki: Uint8Array, { curves, ed25519, minRsaBits }: KeyDemand): string | undefined {
  try {
    const key = parsePublicKey(spki);
    if (key.kind === 'rsa')
      return key.bits < minRsaBits ? `RSA of ${key.bits} bits, fewer than ${minRsaBits}` : undefined;
    if (key.kind === 'ed25519') return ed25519 ? undefined : 'Ed25519';
    return curves.includes(key.curve) ? undefined : `on ${key.curve}`;
  } catch (error) {
    if (error instanceof BirthmarkError) return error.message;
    throw error;
  }
}
