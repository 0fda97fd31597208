import { hash } from 'node:crypto';
import { toHex } from '../core/bytes.ts';
import { parseCertificate, type TbsCertificate } from '../x509/certificate.ts';
import { keyIdentifier } from '../x509/public-key.ts';

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

/** A certificate of a CA, read once. */
interface Issuer {
  readonly tbs: TbsCertificate;
  readonly keyId: string;
  /** As issued under the CA above it. */
  id?: CredentialId;
}

/**
 * Reads what the gate needs of a path that was found good.
 *
 * @param path DER, from the leaf to the anchor
 * @param leaf the first of them, as read
 * @param namespace whose device it is
 */
export type CredentialReader = (
  path: readonly Uint8Array[],
  leaf: TbsCertificate,
  namespace: string,
) => Credential;

/** CAs that the policy knows are read once: their octets are the same object in each path. */
export function createCredentialReader(): CredentialReader {
  const issuers = new WeakMap<Uint8Array, Issuer>();
  const issuerOf = (der: Uint8Array): Issuer => {
    let issuer = issuers.get(der);
    if (!issuer) {
      const { tbs } = parseCertificate(der);
      issuer = { tbs, keyId: toHex(keyIdentifier(tbs.spki)) };
      issuers.set(der, issuer);
    }
    return issuer;
  };
  return (path, leaf, namespace) => {
    const above = path.slice(1).map(issuerOf);
    const [issuer] = above;
    if (!issuer) throw new Error('a path to an anchor has a leaf and the anchor at least');
    const id = idOf(leaf, issuer.keyId);
    const ids = above.slice(0, -1).map((ca, at) => {
      const issuerKeyId = above[at + 1]?.keyId ?? '';
      // One of several that cross-certified it.
      if (ca.id?.issuerKeyId !== issuerKeyId) ca.id = idOf(ca.tbs, issuerKeyId);
      return ca.id;
    });
    return { ...id, tbs: leaf, notAfter: leaf.notAfter.at, namespace, path: [id, ...ids] };
  };
}

function idOf({ serial, spki }: TbsCertificate, issuerKeyId: string): CredentialId {
  return { issuerKeyId, serial: toHex(serial), keyHash: hash('sha256', spki, 'hex') };
}

/** SHA-256 of a certificate: the key of caches, never of what is denied, since its signature may be rewritten. */
export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'base64');
}
