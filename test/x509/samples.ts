import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { SIGNATURE_DIGESTS, type SignatureAlgorithmName } from '../../src/core/signature-algorithm.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../src/x509/algorithms.ts';
import { assembleSigned, encodeTbsCertificate, type TbsFields } from '../../src/x509/certificate.ts';
import { constructed, type Der, encode, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { NO_EXPIRY } from '../../src/x509/der/time.ts';
import { integer } from '../../src/x509/der/values.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { encodeName } from '../../src/x509/name.ts';
import { keyIdentifier } from '../../src/x509/public-key.ts';

/** Kinds of keys, each with the algorithm that it signs with in these tests. */
export const KEY_KINDS = {
  'P-256': 'ecdsa-sha256',
  'P-384': 'ecdsa-sha384',
  'P-521': 'ecdsa-sha512',
  Ed25519: 'ed25519',
  'RSA-2048': 'rsa-sha256',
} as const satisfies Readonly<Record<string, SignatureAlgorithmName>>;

export type KeyKind = keyof typeof KEY_KINDS;
export const ALL_KEY_KINDS = Object.keys(KEY_KINDS) as readonly KeyKind[];

export interface SampleKey {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
  readonly algorithm: SignatureAlgorithm;
}

export function sampleKey(kind: KeyKind): SampleKey {
  const { publicKey, privateKey } = generate(kind);
  const algorithm = SIGNATURE_ALGORITHMS[KEY_KINDS[kind]];
  return { privateKey, spki: publicKey.export({ format: 'der', type: 'spki' }), algorithm };
}

function generate(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'RSA-2048') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKeyPairSync('ec', { namedCurve: kind });
}

/** The signed structure around what is to be signed. */
export function signed(key: SampleKey, tbs: Uint8Array): Buffer {
  return assembleSigned(
    tbs,
    key.algorithm.der,
    sign(SIGNATURE_DIGESTS[key.algorithm.name], tbs, key.privateKey),
  );
}

export const CA_NAME = encodeName([
  { type: 'C', value: 'DE' },
  { type: 'O', value: 'Bürklin Lab' },
  { type: 'CN', value: 'Birthmark IDevID CA 1' },
]);
export const DEVICE_NAME = encodeName([
  { type: 'O', value: 'Bürklin Lab' },
  { type: 'serialNumber', value: 'SN-0001' },
]);
export const HARDWARE_MODULE: extensions.AltName = {
  kind: 'hardwareModule',
  hwType: '1.3.6.1.4.1.99999.1.1',
  hwSerialNum: Buffer.from('SN-0001'),
};

/** The shapes of certificates that the authority issues; each names what is in it beside the common fields. */
export const SHAPES = ['ca', 'idevid', 'ldevid', 'server', 'operator', 'ocsp-responder'] as const;
export type Shape = (typeof SHAPES)[number];

const NOT_BEFORE = Date.UTC(2026, 0, 2, 3, 4, 5);

/** tbsCertificate of a shape, for one key and signed by another; the rest is as one likes. */
export function sampleTbs(
  shape: Shape,
  subjectKey: SampleKey,
  issuerKey: SampleKey,
  rest: Partial<TbsFields> = {},
): Buffer {
  return encodeTbsCertificate({
    serial: Buffer.from('019a00ff7f00112233445566778899aa', 'hex'),
    signatureAlgorithm: issuerKey.algorithm.der,
    issuer: CA_NAME,
    notBefore: NOT_BEFORE,
    notAfter: shape === 'idevid' ? NO_EXPIRY : Date.UTC(2050, 0, 1),
    subject: shape === 'ca' ? CA_NAME : DEVICE_NAME,
    spki: subjectKey.spki,
    extensions: extensionsOf(shape, subjectKey, issuerKey),
    ...rest,
  });
}

export function sampleCertificate(shape: Shape, subjectKey: SampleKey, issuerKey: SampleKey): Buffer {
  return signed(issuerKey, sampleTbs(shape, subjectKey, issuerKey));
}

function extensionsOf(shape: Shape, subjectKey: SampleKey, issuerKey: SampleKey): Der[] {
  const authority = extensions.authorityKeyIdentifier(keyIdentifier(issuerKey.spki));
  const subject = extensions.subjectKeyIdentifier(keyIdentifier(subjectKey.spki));
  const published = [
    extensions.authorityInfoAccess({ caIssuers: 'http://pki.example/ca.cer', ocsp: 'http://ocsp.example/' }),
    extensions.crlDistributionPoints('http://pki.example/crl/1.crl'),
  ];
  const signing = extensions.keyUsage(['digitalSignature']);
  const { clientAuth, ocspSigning, serverAuth } = extensions.EXTENDED_KEY_USAGE;
  switch (shape) {
    case 'ca':
      return [
        authority,
        subject,
        extensions.caConstraints(0),
        extensions.keyUsage(['keyCertSign', 'cRLSign']),
        ...published,
      ];
    case 'idevid':
      return [
        authority,
        signing,
        extensions.certificatePolicies(['1.3.6.1.4.1.99999.2.1', '2.23.133.11.1.1']),
        extensions.subjectAltName([HARDWARE_MODULE]),
        ...published,
      ];
    case 'ldevid':
      return [authority, subject, signing, extensions.extendedKeyUsage([clientAuth]), ...published];
    case 'server':
      return [
        authority,
        signing,
        extensions.extendedKeyUsage([serverAuth]),
        extensions.subjectAltName([
          { kind: 'dns', name: 'pki.example' },
          { kind: 'ip', address: Uint8Array.of(127, 0, 0, 1) },
          { kind: 'ip', address: Buffer.from(`${'00'.repeat(15)}01`, 'hex') },
        ]),
      ];
    case 'operator':
      return [authority, signing, extensions.extendedKeyUsage([clientAuth]), published[1] ?? authority];
    case 'ocsp-responder':
      return [authority, signing, extensions.extendedKeyUsage([ocspSigning])];
  }
}

export interface CsrParts {
  readonly version?: Der;
  readonly subject?: Uint8Array;
  readonly spki?: Uint8Array;
  /** Attributes, each encoded whole; `absent` leaves the field out. */
  readonly attributes?: readonly Der[] | 'absent';
}

/** A CSR in the project's own encoding, correct but for the parts that are given. */
export function sampleCsr(key: SampleKey, parts: CsrParts = {}): Buffer {
  const { version = integer(0), subject = DEVICE_NAME, spki = key.spki, attributes = [] } = parts;
  const fields: Der[] = [version, subject, spki];
  if (attributes !== 'absent') fields.push(constructed(TAG.contextConstructed, attributes));
  return signed(key, encode(sequence(...fields)));
}
