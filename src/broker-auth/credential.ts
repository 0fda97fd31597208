import { hash } from 'node:crypto';
import { toHex } from '../core/bytes.ts';
import { parseCertificate, type TbsCertificate } from '../x509/certificate.ts';
import { hashKey, keyIdentifier } from '../x509/public-key.ts';

/** A certificate as the status of it is known: by who issued it and its serial number, and by its key. */
export interface CredentialId {
  /** Of the key that signed it: `keyIdentifier`, hexadecimal. */
  readonly issuerKeyId: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** SHA-256 of the SubjectPublicKeyInfo, hexadecimal. */
  readonly keyHash: string;
}

/** A client's certificate whose path holds. */
export interface Credential extends CredentialId {
  readonly tbs: TbsCertificate;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** Whose serial numbers these are: that of the anchor at the end of its path, or of a guest under it. */
  readonly namespace: string;
  /** All of the path that can be taken back: the leaf first, without the anchor. */
  readonly path: readonly CredentialId[];
}

/**
 * Reads what the gate needs of a path that was found good.
 *
 * @param path DER, from the leaf to the anchor
 * @param namespaceOf says of the leaf whose device it is
 */
export function readCredential(
  path: readonly Uint8Array[],
  namespaceOf: (tbs: TbsCertificate) => string,
): Credential {
  const read = path.map((der) => parseCertificate(der).tbs);
  const ids = read.slice(0, -1).map((tbs, at) => idOf(tbs, read[at + 1] ?? tbs));
  const [tbs] = read;
  const [id] = ids;
  if (!tbs || !id) throw new Error('a path to an anchor has a leaf and the anchor at least');
  return { ...id, tbs, notAfter: tbs.notAfter.at, namespace: namespaceOf(tbs), path: ids };
}

function idOf(tbs: TbsCertificate, issuer: TbsCertificate): CredentialId {
  return {
    issuerKeyId: toHex(keyIdentifier(issuer.spki)),
    serial: toHex(tbs.serial),
    keyHash: toHex(hashKey(tbs.spki)),
  };
}

/** SHA-256 of a certificate: the key of caches, never of what is denied, since its signature may be rewritten. */
export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'base64');
}
