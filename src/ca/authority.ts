import { equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Signer } from '../keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../x509/algorithms.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { keyIdentifier } from '../x509/public-key.ts';
import type { AuthorityRecord } from './ports.ts';

/** A CA with its certificate, its chain and its key. */
export interface Authority {
  readonly name: string;
  readonly isRoot: boolean;
  readonly certificate: Certificate;
  readonly keyId: Uint8Array;
  readonly signer: Signer;
  /** AlgorithmIdentifier of its signatures, DER. */
  readonly signatureAlgorithm: Uint8Array;
  /** DER of the certificates above it, nearest first, without the root. */
  readonly intermediates: readonly Uint8Array[];
  /** DER. Itself for a root. */
  readonly root: Uint8Array;
}

export type Authorities = ReadonlyMap<string, Authority>;

/**
 * Joins what the ledger knows of the authorities with their keys.
 *
 * @throws BirthmarkError `key-file-unreadable` where a key is not the certificate's
 */
export function assembleAuthorities(
  records: readonly AuthorityRecord[],
  signerOf: (record: AuthorityRecord) => Signer,
): Authorities {
  const byName = new Map(records.map((record) => [record.name, record]));
  const authorities = new Map<string, Authority>();
  for (const record of records) {
    const certificate = parseCertificate(record.certificate);
    const signer = signerOf(record);
    if (!equalBytes(signer.spki, certificate.tbs.spki)) {
      throw new BirthmarkError(
        'key-file-unreadable',
        `the key of authority ${record.name} is not the key in its certificate; put back the key file that init wrote`,
      );
    }
    const above: Uint8Array[] = [];
    let upper = record;
    while (upper.issuer !== upper.name) {
      const next = byName.get(upper.issuer);
      if (!next)
        throw new BirthmarkError(
          'ledger-failed',
          `authority ${upper.name} was issued by ${upper.issuer}, which is not in the ledger`,
        );
      above.push(next.certificate);
      upper = next;
    }
    authorities.set(record.name, {
      name: record.name,
      isRoot: record.issuer === record.name,
      certificate,
      keyId: keyIdentifier(certificate.tbs.spki),
      signer,
      signatureAlgorithm: SIGNATURE_ALGORITHMS[signer.algorithm].der,
      intermediates: above.slice(0, -1),
      root: above.at(-1) ?? record.certificate,
    });
  }
  return authorities;
}

/** What a device sends along with its certificate: the issuing authority and what is between it and the root. */
export function chainBelowRoot(authority: Authority): readonly Uint8Array[] {
  return [authority.certificate.raw, ...authority.intermediates];
}
