import {
  findSignatureAlgorithm,
  type SignatureAlgorithm,
  verifySignature,
} from '../../../x509/algorithms.ts';
import { TAG } from '../../../x509/der/tags.ts';
import { importPublicKey, parsePublicKey } from '../../../x509/public-key.ts';
import { ALL_KINDS, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';
import { signatureSpec } from '../view/algorithm.ts';
import type { CertificateView, SignatureView } from '../view/certificate-view.ts';
import type { DerFaults } from '../view/der-faults.ts';
import { isPositive } from '../view/key.ts';
import { lengthOf, rawOf, readTlv } from '../view/tlv.ts';

/** What is wrong with an Ecdsa-Sig-Value: SEQUENCE { r INTEGER, s INTEGER }, both positive. */
function ecdsaFault({ value }: SignatureView): string | undefined {
  const faults: DerFaults = {};
  const pair = readTlv(value.bytes, value.content + 1, value.end, faults);
  const r = pair?.first;
  const s = r?.next;
  const first = Object.values(faults)[0];
  if (first !== undefined) return `the ECDSA signature is not DER: ${first}`;
  if (
    pair?.tag !== TAG.sequence ||
    r?.tag !== TAG.integer ||
    s?.tag !== TAG.integer ||
    s.next !== undefined
  ) {
    return 'the ECDSA signature is not SEQUENCE { r, s }';
  }
  return isPositive(r) && isPositive(s) ? undefined : 'r or s of the ECDSA signature is zero or negative';
}

/** The algorithm, where this project can check signatures of it. */
function checkable({ signature, issuedBy }: CertificateView): SignatureAlgorithm | undefined {
  const algorithm =
    signature === undefined ? undefined : findSignatureAlgorithm(rawOf(signature.algorithm.raw));
  return algorithm?.keyKind === issuedBy?.key.kind ? algorithm : undefined;
}

function verifies(algorithm: SignatureAlgorithm, certificate: CertificateView): boolean {
  const { tbs, signature, issuedBy } = certificate;
  if (signature === undefined || issuedBy === undefined) return false;
  try {
    const spki = rawOf(issuedBy.key.raw);
    parsePublicKey(spki);
    const key = importPublicKey(spki);
    const { bytes, content, end } = signature.value;
    return verifySignature(algorithm, key, rawOf(tbs), bytes.subarray(content + 1, end));
  } catch {
    return false;
  }
}

export const signatureRules: readonly LintRule[] = [
  {
    id: 'signature.octets',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: rfc5280('4.1.1.3'),
    what: 'The signature is a BIT STRING of whole octets, at least one.',
    check: ({ signature }) => {
      if (signature === undefined) return undefined;
      const { value } = signature;
      return lengthOf(value) > 1 && value.bytes[value.content] === 0
        ? undefined
        : 'the signature is empty or has unused bits';
    },
  },
  {
    id: 'signature.ecdsa-form',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: 'RFC 3279 §2.2.3',
    what: 'An ECDSA signature is DER: SEQUENCE { r, s }, both above zero.',
    check: ({ signature }) =>
      signature !== undefined && signatureSpec(signature.algorithm)?.keyKind === 'ec'
        ? ecdsaFault(signature)
        : undefined,
  },
  {
    id: 'signature.invalid',
    severity: 'error',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: rfc5280('4.1.1.3'),
    what: "The signature verifies with the authority's key, where its certificate is given.",
    check: (certificate) => {
      const algorithm = certificate.issuedBy === undefined ? undefined : checkable(certificate);
      return algorithm === undefined || verifies(algorithm, certificate)
        ? undefined
        : "the signature was not made with the authority's key";
    },
  },
  {
    id: 'signature.unchecked',
    severity: 'notice',
    kinds: ALL_KINDS,
    needs: 'signature',
    source: rfc5280('4.1.1.3'),
    what: 'The signature is of an algorithm that this lint can check.',
    check: (certificate) =>
      certificate.issuedBy !== undefined && checkable(certificate) === undefined
        ? "the signature's algorithm is not one that is checked here, or not one of the authority's key"
        : undefined,
  },
];
