import { BirthmarkError } from '../core/errors.ts';
import { type CurveName, parsePublicKey } from '../x509/public-key.ts';
import type { Credential } from './credential.ts';

/** Which keys a path may have, the anchor's too. */
export interface KeyDemand {
  readonly curves: readonly CurveName[];
  readonly ed25519: boolean;
  readonly minRsaBits: number;
}

/** What a key of a path lacks; undefined where all are as demanded. */
export type KeyJudge = (credential: Credential, demand: KeyDemand) => string | undefined;

/** Keys of CAs are looked at once for each demand: it is one of few presets', so the same object each time. */
export function createKeyJudge(): KeyJudge {
  const known = new WeakMap<KeyDemand, WeakMap<Uint8Array, string | undefined>>();
  return ({ tbs, issuers }, demand) => {
    const fault = faultOf(tbs.spki, demand);
    if (fault !== undefined) return `its key is ${fault}`;
    let faults = known.get(demand);
    if (!faults) {
      faults = new WeakMap();
      known.set(demand, faults);
    }
    for (const { spki } of issuers) {
      if (!faults.has(spki)) faults.set(spki, faultOf(spki, demand));
      const above = faults.get(spki);
      if (above !== undefined) return `a key above it is ${above}`;
    }
    return undefined;
  };
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
