import type { SignatureAlgorithmName } from '../core/signature-algorithm.ts';

/** Holds a private key, in a file or in an HSM: octets in, signature out, and nothing else. */
export interface Signer {
  readonly algorithm: SignatureAlgorithmName;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** The signatureValue's octets over `tbs`. ECDSA signatures are DER `SEQUENCE { r, s }`. */
  sign(tbs: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
