import type { PublicKeyInfo } from '../../x509/public-key.ts';
import { bitLength, integerFromBytes } from './big-integer.ts';
import { ecPointDefect } from './ec-point.ts';
import { ed25519PointDefect } from './ed25519-point.ts';
import { hasClosePrimes } from './fermat.ts';
import { hasRocaStructure } from './roca.ts';
import { smallFactor } from './small-factor.ts';

export type KeyAlgorithm = 'ec-p256' | 'ec-p384' | 'ec-p521' | 'ed25519' | 'rsa';

/** What a public key must be before a certificate may name it. */
export interface KeyPolicy {
  readonly allowed: readonly KeyAlgorithm[];
  readonly minRsaBits: number;
  /** Bounds the work that a stranger's key can cause. */
  readonly maxRsaBits: number;
  /** How many rounds of Fermat's method an RSA modulus must withstand. */
  readonly fermatRounds: number;
}

/** Why a key is refused; `detail` may be shown to whoever sent the key, and gives no large factor away. */
export interface KeyFinding {
  readonly code:
    | 'key-algorithm-not-allowed'
    | 'key-too-small'
    | 'key-too-large'
    | 'key-exponent'
    | 'key-small-factor'
    | 'key-fermat'
    | 'key-roca'
    | 'key-point-invalid';
  readonly detail: string;
}

export interface KeyCheckOptions {
  /** A library imported this EC point and checked the curve's equation, so it is not checked again. */
  readonly pointProven?: boolean;
}

type RsaKey = Extract<PublicKeyInfo, { kind: 'rsa' }>;

const CURVE_ALGORITHMS = { 'P-256': 'ec-p256', 'P-384': 'ec-p384', 'P-521': 'ec-p521' } as const;

// FIPS 186-5 §A.1.1: 2^16 < e < 2^256, odd. CA/Browser Forum BR 6.1.6 recommends the same range.
const MIN_EXPONENT = 65537n;
const MAX_EXPONENT_BITS = 256;

/**
 * Says why a public key may not be certified, or nothing: the first rule that it breaks, cheapest first.
 * It knows nothing of other keys: blocked ones and those in use are the ledger's to tell.
 *
 * Source: CA/Browser Forum BR 6.1.1.3 and 6.1.6; the rules of one kind of key have theirs in their own files.
 */
export function checkPublicKey(
  key: PublicKeyInfo,
  policy: KeyPolicy,
  options: KeyCheckOptions = {},
): KeyFinding | undefined {
  const algorithm = algorithmOf(key);
  if (!policy.allowed.includes(algorithm)) {
    return {
      code: 'key-algorithm-not-allowed',
      detail: `keys of ${algorithm} are not taken here; make a new key of ${policy.allowed.join(' or ')}`,
    };
  }
  if (key.kind === 'rsa') return checkRsaKey(key, policy);
  if (key.kind === 'ed25519') return pointFinding('the Ed25519 public key', ed25519PointDefect(key.key));
  if (options.pointProven === true) return undefined;
  return pointFinding(`the public point on ${key.curve}`, ecPointDefect(key.curve, key.point));
}

function checkRsaKey(key: RsaKey, policy: KeyPolicy): KeyFinding | undefined {
  // Sizes come first, told from the octets: nothing is computed with a number of unbounded length.
  const bits = bitLength(key.modulus);
  if (bits < policy.minRsaBits) {
    return {
      code: 'key-too-small',
      detail: `the RSA modulus has ${bits} bits, at least ${policy.minRsaBits} are needed; make a longer key`,
    };
  }
  if (bits > policy.maxRsaBits) {
    return {
      code: 'key-too-large',
      detail: `the RSA modulus has ${bits} bits, at most ${policy.maxRsaBits} are taken; make a shorter key`,
    };
  }
  return checkExponent(key.publicExponent) ?? checkModulus(integerFromBytes(key.modulus), policy);
}

function checkExponent(octets: Uint8Array): KeyFinding | undefined {
  if (bitLength(octets) <= MAX_EXPONENT_BITS) {
    const exponent = integerFromBytes(octets);
    if (exponent >= MIN_EXPONENT && exponent % 2n === 1n) return undefined;
  }
  return {
    code: 'key-exponent',
    detail: 'the RSA public exponent must be odd, at least 65537 and below 2^256; make a new key with 65537',
  };
}

function checkModulus(modulus: bigint, policy: KeyPolicy): KeyFinding | undefined {
  const factor = smallFactor(modulus);
  if (factor !== undefined) {
    return {
      code: 'key-small-factor',
      detail:
        `the RSA modulus is divisible by ${factor}, so it is not the product of two large primes; ` +
        'repair what made or carried the key, then make a new one',
    };
  }
  if (hasRocaStructure(modulus)) {
    return {
      code: 'key-roca',
      detail:
        'the RSA key was made by a library whose keys can be factored (ROCA, CVE-2017-15361); ' +
        'make a new key outside of that chip or after its update, or one on a curve',
    };
  }
  if (hasClosePrimes(modulus, policy.fermatRounds)) {
    return {
      code: 'key-fermat',
      detail:
        "the two primes of the RSA key are so close that Fermat's method finds them (CVE-2022-26320); " +
        'update what made the key, then make a new one',
    };
  }
  return undefined;
}

export function algorithmOf(key: PublicKeyInfo): KeyAlgorithm {
  return key.kind === 'ec' ? CURVE_ALGORITHMS[key.curve] : key.kind;
}

function pointFinding(what: string, defect: string | undefined): KeyFinding | undefined {
  if (defect === undefined) return undefined;
  return {
    code: 'key-point-invalid',
    detail: `${what} cannot be used: ${defect}; repair what made or carried the key, then make a new one`,
  };
}
