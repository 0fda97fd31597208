import type { TbsFields } from '../../../src/x509/certificate.ts';
import { encodeTbsCertificate } from '../../../src/x509/certificate.ts';
import type { Der } from '../../../src/x509/der/encode.ts';
import * as extensions from '../../../src/x509/extensions.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';
import { type KeyKind, type SampleKey, sampleKey, signed } from '../samples.ts';

/** When these certificates are looked at, unless a test says otherwise. */
export const NOW = Date.UTC(2026, 6, 1);
const DAY = 86_400_000;

/** One who holds a certificate and can issue others. */
export interface Party {
  readonly name: Uint8Array;
  readonly key: SampleKey;
  readonly der: Buffer;
}

/** What a certificate differs in from a usual one. */
export interface Traits {
  /** Common name; of the subject. */
  readonly cn?: string;
  readonly key?: SampleKey | KeyKind;
  /** Absent: signs itself. */
  readonly issuer?: Party;
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: readonly extensions.KeyUsageName[] | 'absent';
  readonly purposes?: readonly string[];
  /** Behind the usual ones. */
  readonly extra?: readonly Der[];
  /** Instead of all the usual ones. */
  readonly only?: readonly Der[];
  readonly fields?: Partial<TbsFields>;
}

let serial = 1;

export function commonName(cn: string): Uint8Array {
  return encodeName([{ type: 'CN', value: cn }]);
}

/** A certificate with its key: by default a leaf on P-256, for clientAuth, valid around `NOW`. */
export function makeCertificate(traits: Traits): Party {
  const { cn = 'device', key: wanted = 'P-256', issuer, fields } = traits;
  const key = typeof wanted === 'string' ? sampleKey(wanted) : wanted;
  const name = fields?.subject ?? commonName(cn);
  const signer = issuer ?? { name, key };
  serial += 1;
  const tbs = encodeTbsCertificate({
    serial: Uint8Array.of(1, serial >> 8, serial & 0xff),
    signatureAlgorithm: signer.key.algorithm.der,
    issuer: signer.name,
    notBefore: NOW - DAY,
    notAfter: NOW + DAY,
    subject: name,
    spki: key.spki,
    extensions: traits.only ?? usualExtensions(traits, key, signer.key),
    ...fields,
  });
  return { name, key, der: signed(signer.key, tbs) };
}

/** The same with `ca` set. */
export function makeAuthority(traits: Traits): Party {
  return makeCertificate({ cn: 'CA', ...traits, ca: true });
}

function usualExtensions(traits: Traits, key: SampleKey, signer: SampleKey): Der[] {
  const {
    ca = false,
    pathLength,
    keyUsage = ca ? ['keyCertSign', 'cRLSign'] : ['digitalSignature'],
  } = traits;
  const { purposes = ca ? undefined : [extensions.EXTENDED_KEY_USAGE.clientAuth], extra = [] } = traits;
  const all: Der[] = [
    extensions.authorityKeyIdentifier(keyIdentifier(signer.spki)),
    extensions.subjectKeyIdentifier(keyIdentifier(key.spki)),
  ];
  if (ca) all.push(extensions.caConstraints(pathLength ?? 20));
  if (keyUsage !== 'absent') all.push(extensions.keyUsage(keyUsage));
  if (purposes) all.push(extensions.extendedKeyUsage(purposes));
  return [...all, ...extra];
}
