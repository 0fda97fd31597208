import type { KeyObject } from 'node:crypto';
import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { findVerifyingAlgorithm, type VerifyingAlgorithm } from '../algorithms.ts';
import { type Certificate, parseCertificate, type TbsCertificate } from '../certificate.ts';
import { nameKey } from '../compare-names.ts';
import { nameToText } from '../name.ts';
import { importPublicKey } from '../public-key.ts';
import { type CertificateRules, readCertificateRules } from './certificate-rules.ts';
import type { SignedPart } from './check-signature.ts';
import { type KeyStrength, readKeyStrength } from './key-strength.ts';
import { type ConstrainedNames, readConstrainedNames } from './name-constraints.ts';

/**
 * A certificate as path validation sees it. What costs something (extensions, names, key) is read when it is first
 * asked for and kept, so that the certificates of known CAs cost once.
 */
export class PathCertificate implements SignedPart {
  readonly certificate: Certificate;
  /** Undefined for an algorithm that we cannot verify at all. */
  readonly algorithm: VerifyingAlgorithm | undefined;
  /** Whether the signature verifies under the key of another certificate; a leaf is verified once and forgotten. */
  readonly verifiedBy: WeakMap<object, boolean> | undefined;
  #rules: CertificateRules | BirthmarkError | undefined;
  #names: ConstrainedNames | undefined;
  #strength: KeyStrength | undefined;
  #key: KeyObject | BirthmarkError | undefined;
  #selfIssued: boolean | undefined;
  #title: string | undefined;
  #subjectKey: string | undefined;
  #issuerKey: string | undefined;

  /**
   * @param leaf for the certificate that is judged: `knowsName` as for `parseCertificate`; `signer` under whose key its signature
   *   is known to verify
   * @throws BirthmarkError `bad-der`, `bad-certificate` for what `parseCertificate` refuses
   */
  constructor(
    der: Uint8Array,
    leaf?: { readonly knowsName: (octets: Uint8Array) => boolean; readonly signer?: PathCertificate },
  ) {
    // Views into a Buffer cost three times as much as views into a Uint8Array.
    const octets = new Uint8Array(der.buffer, der.byteOffset, der.length);
    this.certificate = parseCertificate(octets, leaf?.knowsName);
    if (leaf?.signer) this.verifiedBy = new WeakMap([[leaf.signer, true]]);
    else this.verifiedBy = leaf ? undefined : new WeakMap();
    this.algorithm = findVerifyingAlgorithm(this.certificate.signatureAlgorithm);
  }

  get raw(): Uint8Array {
    return this.certificate.raw;
  }

  get tbs(): TbsCertificate {
    return this.certificate.tbs;
  }

  get signedOctets(): Uint8Array {
    return this.certificate.tbs.raw;
  }

  get signature(): Uint8Array {
    return this.certificate.signature;
  }

  /** What the extensions say, or what is wrong with them. */
  get rules(): CertificateRules | BirthmarkError {
    this.#rules ??= attempt(() => readCertificateRules(this.tbs));
    return this.#rules;
  }

  /** The public key's kind and size, and what speaks against it. */
  get strength(): KeyStrength {
    this.#strength ??= readKeyStrength(this.tbs.spki);
    return this.#strength;
  }

  /** The public key, or why it cannot be imported. Needs `strength` to be without a defect. */
  get key(): KeyObject | BirthmarkError {
    this.#key ??= attempt(() => importPublicKey(this.tbs.spki));
    return this.#key;
  }

  /** Names that name constraints speak of. */
  get names(): ConstrainedNames {
    const { rules } = this;
    this.#names ??= readConstrainedNames(
      this.tbs.subject,
      rules instanceof BirthmarkError ? [] : (rules.subjectAltName ?? []),
    );
    return this.#names;
  }

  /** See `nameKey`. */
  get subjectKey(): string {
    this.#subjectKey ??= nameKey(this.tbs.subject);
    return this.#subjectKey;
  }

  /** Octets that are alike only for the same issuer encoding; cheaper than `issuerKey`. */
  get issuerOctets(): string {
    return asBuffer(this.tbs.issuer).toString('latin1');
  }

  get issuerKey(): string {
    this.#issuerKey ??= nameKey(this.tbs.issuer);
    return this.#issuerKey;
  }

  /** RFC 5280 §6.1: issuer and subject are the same name, whoever signed it. */
  get selfIssued(): boolean {
    this.#selfIssued ??= this.subjectKey === this.issuerKey;
    return this.#selfIssued;
  }

  /** For people. */
  get title(): string {
    this.#title ??= `"${nameToText(this.tbs.subject)}"`;
    return this.#title;
  }
}

function attempt<T>(read: () => T): T | BirthmarkError {
  try {
    return read();
  } catch (error) {
    if (error instanceof BirthmarkError) return error;
    throw error;
  }
}
