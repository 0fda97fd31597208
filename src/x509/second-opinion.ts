import { webcrypto } from 'node:crypto';
import { toHex } from '../core/bytes.ts';
import { readCertificate } from './certificate.ts';

/** What a certificate says, as text that can be compared; octets in hexadecimal. */
interface Reading {
  readonly serial: string;
  readonly issuer: string;
  readonly subject: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly spki: string;
  /** In their order: type, criticality and value. */
  readonly extensions: string;
}

/**
 * Reads a certificate with pkijs and with @peculiar/x509 and tells where either disagrees with our own reading, one
 * sentence each; empty when all agree. The libraries are loaded on the first call.
 *
 * @throws BirthmarkError `bad-der` where we cannot read it ourselves
 */
export async function readByOthers(der: Uint8Array): Promise<readonly string[]> {
  const own = readByUs(der);
  const others = [
    { name: 'pkijs', read: readByPkijs },
    { name: '@peculiar/x509', read: readByPeculiar },
  ];
  const disagreements: string[] = [];
  for (const { name, read } of others) {
    try {
      disagreements.push(...compare(name, own, await read(der)));
    } catch (cause) {
      disagreements.push(`${name} cannot read it: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  return disagreements;
}

/**
 * Whether the certificate's signature was made with the key of the other certificate, as pkijs and @peculiar/x509
 * see it. Names, times and constraints are not looked at.
 */
export async function verifiesByOthers(der: Uint8Array, issuerDer: Uint8Array): Promise<boolean> {
  const x509 = await loadPeculiar();
  try {
    const publicKey = new x509.X509Certificate(issuerDer.slice()).publicKey;
    const certificate = new x509.X509Certificate(der.slice());
    if (!(await certificate.verify({ publicKey, signatureOnly: true }, webcrypto))) return false;
    // pkijs knows no Ed25519.
    if (publicKey.algorithm.name === 'Ed25519') return true;
    const { Certificate } = await import('pkijs');
    return await Certificate.fromBER(der.slice()).verify(Certificate.fromBER(issuerDer.slice()));
  } catch {
    return false;
  }
}

function compare(name: string, own: Reading, other: Reading): string[] {
  const fields = Object.keys(own) as readonly (keyof Reading)[];
  return fields
    .filter((field) => own[field] !== other[field])
    .map((field) => `${name} reads ${field} as ${other[field]}, we as ${own[field]}`);
}

function readByUs(der: Uint8Array): Reading {
  const { tbs } = readCertificate(der);
  return {
    serial: toHex(tbs.serial),
    issuer: toHex(tbs.issuer),
    subject: toHex(tbs.subject),
    notBefore: new Date(tbs.notBefore.at).toISOString(),
    notAfter: new Date(tbs.notAfter.at).toISOString(),
    spki: toHex(tbs.spki),
    extensions: tbs.extensions
      .map(({ oid, critical, value }) => describeExtension(oid, critical, value))
      .join(', '),
  };
}

async function readByPkijs(der: Uint8Array): Promise<Reading> {
  const { Certificate } = await import('pkijs');
  const certificate = Certificate.fromBER(der.slice());
  return {
    serial: toHex(certificate.serialNumber.valueBlock.valueHexView),
    // Its own encoder would merge two attributes into one RDN, so these are the octets that it saw.
    issuer: toHex(new Uint8Array(certificate.issuer.valueBeforeDecode)),
    subject: toHex(new Uint8Array(certificate.subject.valueBeforeDecode)),
    notBefore: certificate.notBefore.value.toISOString(),
    notAfter: certificate.notAfter.value.toISOString(),
    spki: toHex(new Uint8Array(certificate.subjectPublicKeyInfo.toSchema().toBER())),
    extensions: (certificate.extensions ?? [])
      .map(({ extnID, critical, extnValue }) =>
        describeExtension(extnID, critical, extnValue.valueBlock.valueHexView),
      )
      .join(', '),
  };
}

async function readByPeculiar(der: Uint8Array): Promise<Reading> {
  const x509 = await loadPeculiar();
  const certificate = new x509.X509Certificate(der.slice());
  return {
    serial: signed(certificate.serialNumber),
    issuer: toHex(new Uint8Array(certificate.issuerName.toArrayBuffer())),
    subject: toHex(new Uint8Array(certificate.subjectName.toArrayBuffer())),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    spki: toHex(new Uint8Array(certificate.publicKey.rawData)),
    extensions: certificate.extensions
      .map(({ type, critical, value }) => describeExtension(type, critical, new Uint8Array(value)))
      .join(', '),
  };
}

/** The library takes the octet away that only says that a number is positive. */
function signed(magnitude: string): string {
  return Number.parseInt(magnitude.slice(0, 1), 16) >= 8 ? `00${magnitude}` : magnitude;
}

function describeExtension(oid: string, critical: boolean, value: Uint8Array): string {
  return `${oid}${critical ? ' critical' : ''} ${toHex(value)}`;
}

async function loadPeculiar(): Promise<typeof import('@peculiar/x509')> {
  // The library's dependency injection needs this polyfill in place when it loads.
  await import('reflect-metadata');
  return import('@peculiar/x509');
}
