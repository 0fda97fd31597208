import { createECDH, createHash, createPrivateKey, sign } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SIGNATURE_ALGORITHMS } from '../../src/x509/algorithms.ts';
import { assembleSigned } from '../../src/x509/certificate.ts';
import { type Der, encode, explicit, sequence, setOf } from '../../src/x509/der/encode.ts';
import {
  integer,
  nullValue,
  octetString,
  oid,
  time,
  unsigned,
  utf8String,
} from '../../src/x509/der/values.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { toPem } from '../../src/x509/pem.ts';
import { CA_NAME, DEVICE_NAME, HARDWARE_MODULE } from './samples.ts';
import { hex, tlv } from './tlv.ts';

export const CORPUS_FOLDER = path.join(import.meta.dirname, 'corpus');

/** Files of the corpus whose names start so. */
export function readCorpus(prefix: string): readonly Buffer[] {
  return readdirSync(CORPUS_FOLDER)
    .filter((name) => name.startsWith(prefix))
    .map((name) => readFileSync(path.join(CORPUS_FOLDER, name)));
}

/** Writes the files; the same ones each time, since keys, dates and signatures are fixed. */
export function writeCorpus(): void {
  mkdirSync(CORPUS_FOLDER, { recursive: true });
  for (const [name, octets] of Object.entries(makeCorpus()))
    writeFileSync(path.join(CORPUS_FOLDER, name), octets);
}

/** The corpus as it is in the folder. Everything is signed with one Ed25519 key, whose signatures are deterministic. */
export function makeCorpus(): Readonly<Record<string, Buffer>> {
  const names = { 'name-plain': DEVICE_NAME, 'name-odd': oddName(), 'name-empty': encode(sequence()) };
  const keys = {
    'spki-p256': ecKey('prime256v1', '1.2.840.10045.3.1.7', 32),
    'spki-p384': ecKey('secp384r1', '1.3.132.0.34', 48),
    'spki-ed25519': ED25519_SPKI,
    'spki-rsa': rsaKey(),
  };
  const lists = {
    'extensions-all': encode(sequence(...allExtensions())),
    'extensions-one': encode(sequence(extensions.keyUsage(['digitalSignature']))),
  };
  const requests = {
    'csr-bare': csr(keys['spki-p256'], []),
    'csr-full': csr(keys['spki-rsa'], [
      attribute('1.2.840.113549.1.9.7', utf8String('secret')),
      attribute('1.2.840.113549.1.9.14', sequence(...allExtensions())),
    ]),
    'csr-ed25519': csr(ED25519_SPKI, [attribute('1.2.3.4')]),
  };
  const certificates = {
    'certificate-idevid': certificate(keys['spki-p256'], explicit(3, sequence(...allExtensions()))),
    'certificate-rsa': certificate(
      keys['spki-rsa'],
      hex('82 02 00 aa'),
      explicit(3, sequence(extensions.caConstraints(0))),
    ),
    'certificate-bare': certificate(ED25519_SPKI),
  };
  const pems = {
    'pem-csr': Buffer.from(toPem('CERTIFICATE REQUEST', requests['csr-bare'])),
    'pem-chain': Buffer.from(
      `text\r\n${toPem('CERTIFICATE', certificates['certificate-bare'])}${toPem('X509 CRL', hex('30 00'))}`,
    ),
  };
  return { ...names, ...keys, ...lists, ...requests, ...certificates, ...pems };
}

/** A key of test vectors: RFC 8032 §7.1, test 1. */
const ED25519_KEY = createPrivateKey({
  key: hex(
    '302e020100300506032b657004220420 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
  ),
  format: 'der',
  type: 'pkcs8',
});
const ED25519_SPKI = hex(
  '302a300506032b6570032100 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
);
const ALGORITHM = SIGNATURE_ALGORITHMS.ed25519.der;

function signed(tbs: Uint8Array): Buffer {
  return assembleSigned(tbs, ALGORITHM, sign(null, tbs, ED25519_KEY));
}

function digest(text: string): Buffer {
  return createHash('sha512').update(text).digest();
}

function ecKey(curve: string, id: string, size: number): Buffer {
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(digest(curve).subarray(0, size));
  return encode(
    sequence(sequence(oid('1.2.840.10045.2.1'), oid(id)), tlv(0x03, hex('00'), ecdh.getPublicKey())),
  );
}

/** Of the form of an RSA key, but nobody knows its factors. */
function rsaKey(): Buffer {
  const modulus = Buffer.concat(['a', 'b', 'c', 'd'].map(digest));
  modulus[0] = (modulus[0] ?? 0) | 0x80;
  const key = encode(sequence(unsigned(modulus), integer(65_537)));
  return encode(sequence(sequence(oid('1.2.840.113549.1.1.1'), nullValue()), tlv(0x03, hex('00'), key)));
}

/** Several attributes in one RDN, and every string type. */
function oddName(): Buffer {
  const attributeOf = (tag: number, value: Uint8Array) => sequence(oid('2.5.4.3'), tlv(tag, value));
  return encode(
    sequence(
      setOf(attributeOf(0x0c, Buffer.from('Zürich')), attributeOf(0x13, Buffer.from('a'))),
      setOf(attributeOf(0x1e, hex('01 7c 00 61'))),
      setOf(attributeOf(0x14, hex('fc'))),
      setOf(attributeOf(0x16, Buffer.from('a@b'))),
    ),
  );
}

function attribute(type: string, ...values: readonly Der[]): Der {
  return sequence(oid(type), setOf(...values));
}

function csr(spki: Uint8Array, attributes: readonly Der[]): Buffer {
  return signed(encode(sequence(integer(0), DEVICE_NAME, spki, tlv(0xa0, ...attributes.map(encode)))));
}

function certificate(spki: Uint8Array, ...rest: readonly Der[]): Buffer {
  const validity = sequence(time(Date.UTC(2026, 0, 2, 3, 4, 5)), time(Date.UTC(9999, 11, 31, 23, 59, 59)));
  const fields = [
    explicit(0, integer(2)),
    unsigned(hex('80 ff')),
    ALGORITHM,
    CA_NAME,
    validity,
    DEVICE_NAME,
    spki,
  ];
  return signed(encode(sequence(...fields, ...rest)));
}

function allExtensions(): Der[] {
  const keyId = digest('key').subarray(0, 20);
  return [
    extensions.authorityKeyIdentifier(keyId),
    extensions.subjectKeyIdentifier(keyId),
    extensions.keyUsage(['digitalSignature', 'decipherOnly']),
    extensions.extendedKeyUsage([extensions.EXTENDED_KEY_USAGE.clientAuth]),
    extensions.certificatePolicies(['1.3.6.1.4.1.99999.2.1']),
    extensions.subjectAltName([HARDWARE_MODULE, { kind: 'dns', name: 'd.example' }]),
    extensions.authorityInfoAccess({ caIssuers: 'http://pki.example/ca.cer', ocsp: 'http://ocsp.example/' }),
    extensions.crlDistributionPoints('http://pki.example/crl/1.crl'),
    sequence(oid('1.2.3.4'), octetString(hex('05 00'))),
  ];
}
