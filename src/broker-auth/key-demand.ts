import { BirthmarkError } from '../core/errors.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { isP256Spki, readKeyStrength } from '../x509/path/key-strength.ts';
import { type CurveName, parsePublicKey } from '../x509/public-key.ts';
import type { Credential } from './credential.ts';

export type MlDsaName = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';

/** Which keys a path may have, the anchor's too: what is signed with them follows. */
export interface KeyDemand {
  readonly curves: readonly CurveName[];
  readonly ed25519: boolean;
  /** Infinity: none. */
  readonly minRsaBits: number;
  /** FIPS 204, RFC 9881. */
  readonly mlDsa: readonly MlDsaName[];
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

/**
 * What a key of a path lacks; undefined where all are as demanded.
 *
 * @param path DER, from a certificate to the anchor
 */
export function keyFault(path: readonly Uint8Array[], demand: KeyDemand): string | undefined {
  for (const der of path) {
    const fault = faultOf(parseCertificate(der).tbs.spki, demand);
    if (fault !== undefined) return `a key of the path is ${fault}`;
  }
  return undefined;
}

function faultOf(spki: Uint8Array, demand: KeyDemand): string | undefined {
  const { curves, ed25519, minRsaBits } = demand;
  // What nearly every key is.
  if (isP256Spki(spki) && curves.includes('P-256')) return undefined;
  try {
    const key = parsePublicKey(spki);
    if (key.kind === 'rsa')
      return key.bits < minRsaBits ? `RSA of ${key.bits} bits${fewerThan(minRsaBits)}` : undefined;
    if (key.kind === 'ed25519') return ed25519 ? undefined : 'Ed25519';
    return curves.includes(key.curve) ? undefined : `on ${key.curve}`;
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    // Our own authorities have no such keys, so it is not among those that we read in detail.
    const { kind, defect } = readKeyStrength(spki);
    if (kind === undefined || defect !== undefined) return defect ?? error.message;
    return isMlDsa(kind) && demand.mlDsa.includes(kind) ? undefined : kind;
  }
}

function isMlDsa(kind: string): kind is MlDsaName {
  return kind.startsWith('ml-dsa-');
}

function fewerThan(bits: number): string {
  return Number.isFinite(bits) ? `, fewer than ${bits}` : '';
}
