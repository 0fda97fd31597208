import { hash } from 'node:crypto';
import { toHex } from '../core/bytes.ts';
import { parseCertificate, type TbsCertificate } from '../x509/certificate.ts';
import { type CertificateRules, readCertificateRules } from '../x509/path/certificate-rules.ts';
import { keyIdentifier } from '../x509/public-key.ts';
import { DigestedKey } from './status/certificate-digest.ts';
import type { CertificateKey } from './status/status-table.ts';

/** A certificate as the status of it is known: by who issued it and its serial number, and by its key. */
export interface CredentialId {
  /** Of the key that signed it: `keyIdentifier`, hexadecimal. */
  readonly issuerKeyId: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** SHA-256 of the SubjectPublicKeyInfo, hexadecimal. */
  readonly keyHash: string;
  /** The same in octets, where they are at hand. */
  readonly octets?: CertificateKey;
  /** What lists must know beside, where the certificate itself was seen. */
  readonly subject?: StatusSubject;
}

/** A certificate as lists see it: which of them speak of it depends on what it says. */
export interface StatusSubject {
  readonly tbs: TbsCertificate;
  readonly rules: CertificateRules;
}

/** What a status table is asked by. */
export function certificateKeyOf({ issuerKeyId, serial, keyHash, octets }: CredentialId): CertificateKey {
  return (
    octets ?? {
      issuerKeyId: Buffer.from(issuerKeyId, 'hex'),
      serial: Buffer.from(serial, 'hex'),
      keyHash: Buffer.from(keyHash, 'hex'),
    }
  );
}

/** A client's certificate whose path holds. */
export interface Credential extends CredentialId {
  readonly tbs: TbsCertificate;
  /** Those above it, the anchor last; CAs that the policy knows are the same object each time. */
  readonly issuers: readonly TbsCertificate[];
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
  readonly keyId: Uint8Array;
  readonly keyIdText: string;
  /** As issued under the CA above it. */
  id?: CredentialId;
}

/**
 * Reads what the gate needs of a path that was found good.
 *
 * @param path DER, from the leaf to the anchor
 * @param leaf the first of them, as read
 * @param rules what its extensions say
 * @param namespace whose device it is
 */
export type CredentialReader = (
  path: readonly Uint8Array[],
  leaf: TbsCertificate,
  rules: CertificateRules,
  namespace: string,
) => Credential;

/** CAs that the policy knows are read once: their octets are the same object in each path. */
export function createCredentialReader(): CredentialReader {
  const issuers = new WeakMap<Uint8Array, Issuer>();
  const issuerOf = (der: Uint8Array): Issuer => {
    let issuer = issuers.get(der);
    if (!issuer) {
      const { tbs } = parseCertificate(der);
      const keyId = keyIdentifier(tbs.spki);
      issuer = { tbs, keyId, keyIdText: toHex(keyId) };
      issuers.set(der, issuer);
    }
    return issuer;
  };
  return (path, leaf, rules, namespace) => {
    const above = path.slice(1).map(issuerOf);
    const [issuer] = above;
    if (!issuer) throw new Error('a path to an anchor has a leaf and the anchor at least');
    const id = idOf(leaf, rules, issuer);
    const ids = above.slice(0, -1).map((ca, at) => {
      const signer = above[at + 1] ?? ca;
      // Another one where several have certified it.
      if (ca.id?.issuerKeyId !== signer.keyIdText) ca.id = idOf(ca.tbs, readCertificateRules(ca.tbs), signer);
      return ca.id;
    });
    const issuers = above.map(({ tbs }) => tbs);
    return { ...id, tbs: leaf, issuers, notAfter: leaf.notAfter.at, namespace, path: [id, ...ids] };
  };
}

/**
 * Reads a path once, for whoever keeps nothing.
 *
 * @param path DER, from the leaf to the anchor
 * @param namespace whose device it is
 */
export function readCredential(path: readonly Uint8Array[], namespace: string): Credential {
  const { tbs } = parseCertificate(path[0] ?? new Uint8Array());
  return createCredentialReader()(path, tbs, readCertificateRules(tbs), namespace);
}

function idOf(tbs: TbsCertificate, rules: CertificateRules, { keyId, keyIdText }: Issuer): CredentialId {
  const { serial, spki } = tbs;
  const keyHash = hash('sha256', spki, 'hex');
  const octets = new DigestedKey({ issuerKeyId: keyId, serial, keyHash: Buffer.from(keyHash, 'hex') });
  return { issuerKeyId: keyIdText, serial: toHex(serial), keyHash, octets, subject: { tbs, rules } };
}
