import { TAG } from '../../../x509/der/tags.ts';
import { importPublicKey, parsePublicKey } from '../../../x509/public-key.ts';
import { ALL_KINDS, DEVICES, type LintRule } from '../rule.ts';
import { ieee8021ar, rfc5280 } from '../sources.ts';
import { bitLength, type KeyView } from '../view/key.ts';
import { OID } from '../view/oids.ts';
import { hexOf, lengthOf, rawOf, sameEncoding } from '../view/tlv.ts';

const MIN_RSA_BITS = 2048;
const SUITE_KEYS: readonly string[] = ['RSA-2048', 'P-256', 'P-384'];

function parametersFault({ kind, label, algorithm: { oid, parameters } }: KeyView): string | undefined {
  if (oid === OID.rsaEncryption) {
    return parameters?.tag === TAG.null ? undefined : `the algorithm of the ${label} key lacks its NULL`;
  }
  const mustBeAbsent = kind === 'ed25519' || kind === 'ml-dsa';
  return mustBeAbsent && parameters !== undefined
    ? `the algorithm of the ${label} key has parameters`
    : undefined;
}

function pointFault({ kind, curve, expectedLength, publicKey }: KeyView): string | undefined {
  if (kind !== 'ec' || curve === undefined || publicKey === undefined) return undefined;
  const form = publicKey.bytes[publicKey.content + 1];
  const length = lengthOf(publicKey) - 1;
  if (form === 2 || form === 3) return `the point on ${curve} is compressed`;
  return form === 4 && length === expectedLength
    ? undefined
    : `the point on ${curve} is not 04 and ${(expectedLength ?? 1) - 1} octets`;
}

function isEvenOrOne(key: KeyView): boolean {
  const exponent = key.publicExponent;
  if (exponent === undefined) return false;
  return bitLength(exponent) === 1 || ((exponent.bytes[exponent.end - 1] ?? 0) & 1) === 0;
}

export const keyRules: readonly LintRule[] = [
  {
    id: 'key.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.7'),
    what: 'The subjectPublicKeyInfo has the syntax of its algorithm.',
    check: ({ key }) => key.fault,
  },
  {
    id: 'key.algorithm-unknown',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.1.2.7')}; RFC 3279 §2.3`,
    what: 'The key is of RSA, EC, Ed25519 or ML-DSA.',
    check: ({ key }) =>
      key.fault === undefined && key.kind === 'unknown'
        ? `the key is of algorithm ${key.algorithm.oid}`
        : undefined,
  },
  {
    id: 'key.parameters',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 3279 §2.3.1; RFC 8410 §3; RFC 9881 §4',
    what: 'RSA keys have NULL parameters, Ed25519 and ML-DSA keys have none.',
    check: ({ key }) => parametersFault(key),
  },
  {
    id: 'key.length',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 8410 §4; RFC 9881 §4',
    what: 'Ed25519 and ML-DSA keys have as many octets as their algorithm asks for.',
    check: ({ key: { kind, label, expectedLength, publicKey } }) =>
      (kind !== 'ed25519' && kind !== 'ml-dsa') ||
      publicKey === undefined ||
      lengthOf(publicKey) - 1 === expectedLength
        ? undefined
        : `the ${label} key has ${lengthOf(publicKey) - 1} octets instead of ${expectedLength}`,
  },
  {
    id: 'key.ec.curve',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5480 §2.1.1',
    what: 'An EC key is on a named curve: P-256, P-384 or P-521.',
    check: ({ key }) => {
      if (key.kind !== 'ec' || key.curve !== undefined) return undefined;
      const { parameters } = key.algorithm;
      return parameters?.tag === TAG.oid ? `the key is ${key.label}` : 'the EC key does not name its curve';
    },
  },
  {
    id: 'key.ec.point',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5480 §2.2',
    what: 'An EC point is uncompressed and as long as its curve asks for.',
    check: ({ key }) => pointFault(key),
  },
  {
    id: 'key.rsa.too-small',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${ieee8021ar()}; CA/Browser Forum BR §6.1.5`,
    what: 'An RSA modulus has at least 2048 bits.',
    check: ({ key: { modulus } }) =>
      modulus !== undefined && bitLength(modulus) < MIN_RSA_BITS
        ? `the RSA modulus has ${bitLength(modulus)} bits`
        : undefined,
  },
  {
    id: 'key.rsa.exponent',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 8017 §3.1',
    what: 'An RSA exponent is odd and above 1.',
    check: ({ key }) =>
      isEvenOrOne(key) && key.publicExponent
        ? `the RSA exponent is ${hexOf(key.publicExponent)} (hex)`
        : undefined,
  },
  {
    id: 'key.rsa.exponent-small',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: 'CA/Browser Forum BR §6.1.6',
    what: 'An RSA exponent is 65537 or above.',
    check: ({ key }) =>
      key.publicExponent !== undefined && bitLength(key.publicExponent) < 17 && !isEvenOrOne(key)
        ? `the RSA exponent is ${hexOf(key.publicExponent)} (hex)`
        : undefined,
  },
  {
    id: 'key.invalid',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: 'RFC 5480 §2.2',
    what: 'The key is one that can be used: an EC point lies on its curve. (Before signing, the key policy proves it.)',
    check: ({ key }) =>
      key.fault === undefined && isUsable(key) === false ? `the ${key.label} key cannot be used` : undefined,
  },
  {
    id: 'device.key.suite',
    severity: 'notice',
    kinds: DEVICES,
    source: ieee8021ar(),
    what: 'The key of a device is of a suite that IEEE 802.1AR names: RSA-2048, P-256 or P-384.',
    check: ({ key }) =>
      key.fault !== undefined || key.kind === 'unknown' || SUITE_KEYS.includes(key.label)
        ? undefined
        : `the key is ${key.label}`,
  },
  {
    id: 'key.same-as-issuer',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('4.1.2.7'),
    what: "A certificate does not certify its authority's own key, except for a root's own.",
    check: ({ key, selfIssued, issuedBy }) =>
      issuedBy !== undefined && !selfIssued && sameEncoding(key.raw, issuedBy.key.raw)
        ? "the certified key is the authority's own"
        : undefined,
  },
];

/** Undefined where this runtime cannot tell: other rules say what is wrong with such a key. */
function isUsable(key: KeyView): boolean | undefined {
  if (key.kind === 'ml-dsa' || key.kind === 'unknown') return undefined;
  const spki = rawOf(key.raw);
  try {
    parsePublicKey(spki);
  } catch {
    return undefined;
  }
  try {
    importPublicKey(spki);
    return true;
  } catch {
    return false;
  }
}
