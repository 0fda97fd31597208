import { asBuffer } from '../../../core/bytes.ts';
import { type Der, encode, explicit, sequence } from '../../../x509/der/encode.ts';
import { TAG } from '../../../x509/der/tags.ts';
import { integer, nullValue, oid } from '../../../x509/der/values.ts';
import { ALL_KINDS, DEVICES, type LintRule } from '../rule.ts';
import { ieee8021ar, rfc5280 } from '../sources.ts';
import { type AlgorithmView, signatureSpec } from '../view/algorithm.ts';
import { OID } from '../view/oids.ts';
import { rawOf, sameEncoding, type Tlv } from '../view/tlv.ts';

/** RSASSA-PSS with one hash throughout and a salt as long as its output, hashes with or without their NULL (RFC 4055 §3.1). */
const PSS_PARAMETERS: ReadonlySet<string> = new Set(
  (
    [
      ['2.16.840.1.101.3.4.2.1', 32],
      ['2.16.840.1.101.3.4.2.2', 48],
      ['2.16.840.1.101.3.4.2.3', 64],
    ] as const
  ).flatMap(([hash, salt]) =>
    [[nullValue()], []].flatMap((hashNull: readonly Der[]) =>
      [[nullValue()], []].map((maskNull: readonly Der[]) =>
        latin1(
          encode(
            sequence(
              explicit(0, sequence(oid(hash), ...hashNull)),
              explicit(1, sequence(oid('1.2.840.113549.1.1.8'), sequence(oid(hash), ...maskNull))),
              explicit(2, integer(salt)),
            ),
          ),
        ),
      ),
    ),
  ),
);

function latin1(octets: Uint8Array): string {
  return asBuffer(octets).toString('latin1');
}

function parametersFault(algorithm: AlgorithmView): string | undefined {
  const { parameters } = algorithm;
  switch (signatureSpec(algorithm)?.parameters) {
    case 'absent':
      return parameters === undefined ? undefined : 'has parameters where none belong';
    case 'null':
      return isNull(parameters) ? undefined : 'lacks the NULL that belongs there';
    case 'pss':
      return parameters !== undefined && PSS_PARAMETERS.has(latin1(rawOf(parameters)))
        ? undefined
        : 'has RSASSA-PSS parameters other than one SHA-2 hash throughout and a salt of its length';
    default:
      return undefined;
  }
}

function isNull(parameters: Tlv | undefined): boolean {
  return parameters?.tag === TAG.null && parameters.end === parameters.content;
}

const SUITE_ALGORITHMS: readonly string[] = [OID.sha256WithRsa, OID.sha256WithEcdsa, OID.sha384WithEcdsa];
const PAIRS: Readonly<Record<string, string>> = { 'P-256': 'sha256', 'P-384': 'sha384' };

export const algorithmRules: readonly LintRule[] = [
  {
    id: 'algorithm.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.1.2'),
    what: 'The signature algorithm is SEQUENCE { OBJECT IDENTIFIER, parameters OPTIONAL }.',
    check: ({ algorithm }) =>
      algorithm.wellFormed ? undefined : 'the field signature is no AlgorithmIdentifier',
  },
  {
    id: 'algorithm.unknown',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.1.1.2')}; RFC 3279 §2.2`,
    what: 'The signature algorithm is ECDSA, RSA, Ed25519 or ML-DSA.',
    check: ({ algorithm }) =>
      algorithm.wellFormed && signatureSpec(algorithm) === undefined
        ? `the signature algorithm is ${algorithm.oid}`
        : undefined,
  },
  {
    id: 'algorithm.weak',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 6194; RFC 6151',
    what: 'The signature is not over SHA-1 or MD5.',
    check: ({ algorithm }) => {
      const spec = signatureSpec(algorithm);
      return spec?.hash === 'sha1' || spec?.hash === 'md5'
        ? `the signature algorithm is ${spec.label}`
        : undefined;
    },
  },
  {
    id: 'algorithm.parameters',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 5758 §3.2; RFC 4055 §5; RFC 8410 §3; RFC 9881 §2',
    what: 'RSA PKCS#1 v1.5 has NULL parameters, ECDSA, Ed25519 and ML-DSA have none, RSASSA-PSS has sane ones.',
    check: ({ algorithm }) => {
      const fault = parametersFault(algorithm);
      return fault === undefined
        ? undefined
        : `the signature algorithm ${signatureSpec(algorithm)?.label} ${fault}`;
    },
  },
  {
    id: 'algorithm.issuer-key',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: rfc5280('4.1.1.2'),
    what: "The signature algorithm is one of the authority's key.",
    check: ({ algorithm, issuedBy }) => {
      const spec = signatureSpec(algorithm);
      if (spec === undefined || issuedBy === undefined || issuedBy.key.kind === spec.keyKind)
        return undefined;
      return `the signature algorithm is ${spec.label}, the authority's key is ${issuedBy.key.label}`;
    },
  },
  {
    id: 'algorithm.pairing',
    severity: 'warning',
    kinds: ALL_KINDS,
    needs: 'issuer',
    source: ieee8021ar(),
    what: 'An authority on P-256 signs with SHA-256, one on P-384 with SHA-384.',
    check: ({ algorithm, issuedBy }) => {
      const spec = signatureSpec(algorithm);
      const wanted = issuedBy === undefined ? undefined : PAIRS[issuedBy.key.label];
      if (spec?.keyKind !== 'ec' || wanted === undefined || spec.hash === wanted) return undefined;
      return `the authority's key is ${issuedBy?.key.label}, but the signature algorithm is ${spec.label}`;
    },
  },
  {
    id: 'device.algorithm.suite',
    severity: 'notice',
    kinds: DEVICES,
    source: ieee8021ar(),
    what: 'The signature is of a suite that IEEE 802.1AR names: RSA or ECDSA with SHA-256, or ECDSA with SHA-384.',
    check: ({ algorithm }) => {
      const spec = signatureSpec(algorithm);
      return spec === undefined || SUITE_ALGORITHMS.includes(algorithm.oid)
        ? undefined
        : `the signature algorithm is ${spec.label}`;
    },
  },
  {
    id: 'algorithm.inner-outer',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: rfc5280('4.1.1.2'),
    what: 'The signature algorithm is the same to the octet inside and outside the tbsCertificate.',
    check: ({ algorithm, signature }) =>
      signature === undefined || sameEncoding(algorithm.raw, signature.algorithm.raw)
        ? undefined
        : 'signatureAlgorithm and tbsCertificate.signature differ',
  },
];
