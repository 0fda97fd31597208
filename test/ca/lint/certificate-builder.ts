import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { LintKind } from '../../../src/ca/lint/rule.ts';
import { SIGNATURE_ALGORITHMS } from '../../../src/x509/algorithms.ts';
import { assembleSigned, type Certificate, readCertificate } from '../../../src/x509/certificate.ts';
import { type Der, encode, explicit, sequence } from '../../../src/x509/der/encode.ts';
import { NO_EXPIRY } from '../../../src/x509/der/time.ts';
import { integer, nullValue, oid, time, unsigned } from '../../../src/x509/der/values.ts';
import * as x509 from '../../../src/x509/extensions.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';

/** A tbsCertificate in its parts, each of them as it is to be encoded. */
export interface Parts {
  readonly version: Der | undefined;
  readonly serial: Der;
  readonly algorithm: Der;
  readonly issuer: Der;
  readonly notBefore: Der;
  readonly notAfter: Der;
  readonly subject: Der;
  readonly spki: Der;
  readonly uniqueIds: readonly Der[];
  /** By names of the test's own, in their order. */
  readonly extensions: Readonly<Record<string, Der>>;
}

/** What a twin changes. */
export type Change = (parts: Parts) => Partial<Parts>;

export const unchanged: Change = () => ({});

/** Sets extensions, or takes them away where they are undefined. */
export function extend(changes: Readonly<Record<string, Der | undefined>>): Change {
  return ({ extensions }) => ({
    extensions: Object.fromEntries(
      Object.entries({ ...extensions, ...changes }).flatMap(([name, der]) =>
        der === undefined ? [] : [[name, der]],
      ),
    ),
  });
}

/** One change after the other. */
export function both(first: Change, second: Change): Change {
  return (parts) => {
    const changed = { ...parts, ...first(parts) };
    return { ...first(parts), ...second(changed) };
  };
}

export function encodeTbs(parts: Parts): Buffer {
  const { version, serial, algorithm, issuer, notBefore, notAfter, subject, spki, uniqueIds, extensions } =
    parts;
  const list = Object.values(extensions);
  return encode(
    sequence(
      ...(version === undefined ? [] : [version]),
      serial,
      algorithm,
      issuer,
      sequence(notBefore, notAfter),
      subject,
      spki,
      ...uniqueIds,
      ...(list.length === 0 ? [] : [explicit(3, sequence(...list))]),
    ),
  );
}

const keyPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

const rootKey = keyPair();
const caKey = keyPair();
const deviceKey = keyPair();
const ROOT_SPKI = spkiOf(rootKey.publicKey);
export const CA_SPKI = spkiOf(caKey.publicKey);
export const DEVICE_SPKI = spkiOf(deviceKey.publicKey);
export const ROOT_NAME = encodeName([
  { type: 'O', value: 'Lab' },
  { type: 'CN', value: 'Lab Root' },
]);
export const CA_NAME = encodeName([
  { type: 'O', value: 'Lab' },
  { type: 'CN', value: 'Lab Issuing CA' },
]);
const DEVICE_NAME = encodeName([
  { type: 'O', value: 'Lab' },
  { type: 'serialNumber', value: 'SN-0001' },
]);
const SERVICE_NAME = encodeName([
  { type: 'O', value: 'Lab' },
  { type: 'CN', value: 'Service' },
]);
export const CRL_URL = 'http://pki.example.com/crl/ca/17.crl';
export const OCSP_URL = 'http://pki.example.com/ocsp';

/** An RSA key of that many bits; nobody has factored it, because nobody has made it of factors. */
export function rsaSpki(bits: number, exponent = 65537, parameters: readonly Der[] = [nullValue()]): Der {
  const modulus = new Uint8Array(bits / 8).fill(0xa7);
  const key = encode(sequence(unsigned(modulus), integer(exponent)));
  return spkiFrom('1.2.840.113549.1.1.1', parameters, key);
}

/** SubjectPublicKeyInfo of any algorithm. */
export function spkiFrom(algorithm: string, parameters: readonly Der[], key: Uint8Array): Der {
  const bits = Buffer.concat([Uint8Array.of(0), key]);
  return sequence(sequence(oid(algorithm), ...parameters), { tag: 0x03, length: bits.length, content: bits });
}

export const ED25519_SPKI = spkiFrom('1.3.101.112', [], new Uint8Array(32).fill(9));

const base: Parts = {
  version: explicit(0, integer(2)),
  serial: unsigned(new Uint8Array(16).fill(0x5a)),
  algorithm: SIGNATURE_ALGORITHMS['ecdsa-sha256'].der,
  issuer: CA_NAME,
  notBefore: time(Date.UTC(2026, 8, 1)),
  notAfter: time(Date.UTC(2027, 8, 1)),
  subject: DEVICE_NAME,
  spki: DEVICE_SPKI,
  uniqueIds: [],
  extensions: {},
};
const authorityKeyIdentifier = x509.authorityKeyIdentifier(keyIdentifier(CA_SPKI));
const subjectKeyIdentifier = x509.subjectKeyIdentifier(keyIdentifier(DEVICE_SPKI));
const keyUsage = x509.keyUsage(['digitalSignature']);
const distribution = {
  crlDistributionPoints: x509.crlDistributionPoints(CRL_URL),
  authorityInfoAccess: x509.authorityInfoAccess({
    ocsp: OCSP_URL,
    caIssuers: 'http://pki.example.com/ca/ca.cer',
  }),
};
const service = { authorityKeyIdentifier, subjectKeyIdentifier, keyUsage };
export const OCSP_NO_CHECK = '1.3.6.1.5.5.7.48.1.5';
export const HARDWARE_MODULE = {
  kind: 'hardwareModule',
  hwType: '1.3.6.1.4.1.99999.1',
  hwSerialNum: Buffer.from('SN-0001'),
} as const;

/** What this project issues of each kind: nothing to find. */
export const GOOD: Readonly<Record<LintKind, Parts>> = {
  idevid: {
    ...base,
    notAfter: time(NO_EXPIRY),
    extensions: {
      authorityKeyIdentifier,
      keyUsage,
      subjectAltName: x509.subjectAltName([HARDWARE_MODULE]),
      ...distribution,
    },
  },
  ldevid: {
    ...base,
    extensions: {
      ...service,
      extendedKeyUsage: x509.extendedKeyUsage([x509.EXTENDED_KEY_USAGE.clientAuth]),
      ...distribution,
    },
  },
  server: {
    ...base,
    subject: SERVICE_NAME,
    extensions: {
      ...service,
      extendedKeyUsage: x509.extendedKeyUsage([x509.EXTENDED_KEY_USAGE.serverAuth]),
      subjectAltName: x509.subjectAltName([
        { kind: 'dns', name: 'pki.example.com' },
        { kind: 'ip', address: Uint8Array.of(192, 0, 2, 1) },
      ]),
      ...distribution,
    },
  },
  operator: {
    ...base,
    subject: SERVICE_NAME,
    extensions: {
      ...service,
      extendedKeyUsage: x509.extendedKeyUsage([x509.EXTENDED_KEY_USAGE.clientAuth]),
      ...distribution,
    },
  },
  'ocsp-responder': {
    ...base,
    subject: SERVICE_NAME,
    extensions: {
      ...service,
      extendedKeyUsage: x509.extendedKeyUsage([x509.EXTENDED_KEY_USAGE.ocspSigning]),
      noCheck: x509.extension(OCSP_NO_CHECK, false, nullValue()),
    },
  },
  ca: {
    ...base,
    issuer: ROOT_NAME,
    subject: CA_NAME,
    spki: CA_SPKI,
    notBefore: time(Date.UTC(2026, 0, 1)),
    notAfter: time(Date.UTC(2036, 0, 1)),
    extensions: {
      authorityKeyIdentifier: x509.authorityKeyIdentifier(keyIdentifier(ROOT_SPKI)),
      subjectKeyIdentifier: x509.subjectKeyIdentifier(keyIdentifier(CA_SPKI)),
      keyUsage: x509.keyUsage(['keyCertSign', 'cRLSign']),
      basicConstraints: x509.caConstraints(0),
      ...distribution,
    },
  },
};

/** A self-signed root's parts. */
export const ROOT: Parts = {
  ...GOOD.ca,
  subject: ROOT_NAME,
  spki: ROOT_SPKI,
  notAfter: time(Date.UTC(2046, 0, 1)),
  extensions: {
    subjectKeyIdentifier: x509.subjectKeyIdentifier(keyIdentifier(ROOT_SPKI)),
    keyUsage: x509.keyUsage(['keyCertSign', 'cRLSign']),
    basicConstraints: x509.caConstraints(1),
  },
};

/** Signs with the authority's key, `root` for authorities themselves. */
export function certify(
  parts: Parts,
  by: 'ca' | 'root' = 'ca',
  outerAlgorithm: Der = parts.algorithm,
): Buffer {
  const tbs = encodeTbs(parts);
  const key = by === 'ca' ? caKey.privateKey : rootKey.privateKey;
  return assembleSigned(tbs, encode(outerAlgorithm), sign('sha256', tbs, key));
}

/** A certificate with any signature. */
export function withSignature(parts: Parts, signature: Uint8Array): Buffer {
  return assembleSigned(encodeTbs(parts), encode(parts.algorithm), signature);
}

/** The certificate that vouches for a kind: the root for authorities, the issuing CA for all others. */
export function issuerOf(kind: LintKind, change: Change = unchanged): Certificate {
  const parts = kind === 'ca' ? ROOT : GOOD.ca;
  return readCertificate(certify({ ...parts, ...change(parts) }, 'root'));
}
