import { equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Signer } from '../keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../x509/algorithms.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { keyIdentifier } from '../x509/public-key.ts';
import type { AuthorityRecord, CrossCertificate } from './ports.ts';

/** A CA with its certificate, its chain and its key. */
export interface Authority {
  readonly name: string;
  /** What profiles call it; other generations have it too. */
  readonly family: string;
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
  /** DER of the root's key certified by roots before it: who trusts one of those only needs it to find the way. */
  readonly crossed: readonly Uint8Array[];
}

/** All generations of all authorities, by name. */
export interface Authorities extends ReadonlyMap<string, Authority> {
  /** Another number after each change: another generation came, or a chain is another one. Absent where nothing changes. */
  readonly revision?: number;
}

/** What is made of the authorities, made again after each change of them. */
export function madeOf<T>(authorities: Authorities, make: () => T): () => T {
  let revision = authorities.revision;
  let made = make();
  return () => {
    if (authorities.revision !== revision) {
      revision = authorities.revision;
      made = make();
    }
    return made;
  };
}

/**
 * Joins what the ledger knows of the authorities with their keys.
 *
 * @throws BirthmarkError `key-file-unreadable` where a key is not the certificate's
 */
export function assembleAuthorities(
  records: readonly AuthorityRecord[],
  signerOf: (record: AuthorityRecord) => Signer,
  crossCertificates: readonly CrossCertificate[] = [],
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
    const top = above.length === 0 ? record : upper;
    authorities.set(record.name, {
      name: record.name,
      family: record.family,
      isRoot: record.issuer === record.name,
      certificate,
      keyId: keyIdentifier(certificate.tbs.spki),
      signer,
      signatureAlgorithm: SIGNATURE_ALGORITHMS[signer.algorithm].der,
      intermediates: above.slice(0, -1),
      root: top.certificate,
      crossed: crossCertificates
        .filter(({ subject, issuer }) => subject === top.name && isNeeded(byName.get(issuer), top))
        .map(({ certificate: der }) => der),
    });
  }
  return authorities;
}

/** DER of all CA certificates that are no roots, each once. */
export function certificatesBelowRoots(authorities: Authorities): readonly Uint8Array[] {
  const all = [...authorities.values()].flatMap((one) => (one.isRoot ? one.crossed : chainBelowRoot(one)));
  const once = new Map(all.map((der) => [Buffer.from(der).toString('latin1'), der]));
  return [...once.values()];
}

/** From an older root that somebody may still trust alone. */
function isNeeded(issuer: AuthorityRecord | undefined, root: AuthorityRecord): boolean {
  return issuer !== undefined && issuer.state !== 'retired' && issuer.generation < root.generation;
}

/**
 * What a device sends along with its certificate: the issuing authority and what is between it and the root; the way from
 * an older root to that one behind it.
 */
export function chainBelowRoot({ certificate, intermediates, crossed }: Authority): readonly Uint8Array[] {
  return [certificate.raw, ...intermediates, ...crossed];
}
