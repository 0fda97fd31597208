import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Signer } from '../keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../x509/algorithms.ts';
import {
  assembleSigned,
  type Certificate,
  encodeTbsCertificate,
  parseCertificate,
} from '../x509/certificate.ts';
import * as extensions from '../x509/extensions.ts';
import { hashKey, keyIdentifier } from '../x509/public-key.ts';
import { readByOthers, verifiesByOthers } from '../x509/second-opinion.ts';
import type { Reservation } from './ports.ts';
import { refuseLintErrors } from './prepare.ts';
import type { PublishedUrls } from './published-urls.ts';
import { newSerial } from './serial.ts';

const DAY_MS = 86_400_000;

/** The certificate of a CA that is to be made. */
export interface CaPlan {
  /** The authority whose key it is. */
  readonly name: string;
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly validityDays: number;
  /** How many CAs may follow below it. */
  readonly pathLength: number;
  /** `cross`: another root's key, certified by one of ours. */
  readonly profile: 'ca' | 'cross';
  /** For people. */
  readonly holder: string;
}

/** Who certifies. */
export interface CertifyingCa {
  readonly name: string;
  readonly signer: Signer;
  /** Absent where it is the very one that is to be made: a root. */
  readonly certificate?: Certificate;
}

export interface CertifyOptions {
  readonly urls: PublishedUrls;
  readonly now: number;
  readonly random: RandomBytes;
  readonly vouchedBy: string;
}

/** What was certified and is in no ledger yet. */
export interface CertifiedCa {
  /** DER. */
  readonly certificate: Buffer;
  readonly reservation: Reservation;
  readonly signature: Uint8Array;
}

/**
 * Certifies a CA: lints before the signature, and has two other libraries read what came out. It never outlives its issuer.
 *
 * @throws BirthmarkError `lint-failed`, `internal`
 */
export async function certifyCa(
  plan: CaPlan,
  issuer: CertifyingCa,
  { urls, now, random, vouchedBy }: CertifyOptions,
): Promise<CertifiedCa> {
  const { subject, spki } = plan;
  const serial = newSerial(now, random);
  const signatureAlgorithm = SIGNATURE_ALGORITHMS[issuer.signer.algorithm].der;
  const notBefore = Math.floor(now / 1000) * 1000;
  const notAfter = Math.min(
    notBefore + plan.validityDays * DAY_MS,
    issuer.certificate?.tbs.notAfter.at ?? Number.POSITIVE_INFINITY,
  );
  const tbs = encodeTbsCertificate({
    serial,
    signatureAlgorithm,
    issuer: issuer.certificate?.tbs.subject ?? subject,
    notBefore,
    notAfter,
    subject,
    spki,
    extensions: [
      extensions.authorityKeyIdentifier(keyIdentifier(issuer.signer.spki)),
      extensions.subjectKeyIdentifier(keyIdentifier(spki)),
      extensions.caConstraints(plan.pathLength),
      extensions.keyUsage(['keyCertSign', 'cRLSign']),
      extensions.crlDistributionPoints(urls.crl(issuer.name)),
      extensions.authorityInfoAccess({ caIssuers: urls.certificate(issuer.name), ocsp: urls.ocsp() }),
    ],
  });
  refuseLintErrors(tbs, {
    kind: 'ca',
    ...(issuer.certificate === undefined ? {} : { issuer: issuer.certificate }),
  });
  const signature = await issuer.signer.sign(tbs);
  const certificate = assembleSigned(tbs, signatureAlgorithm, signature);
  const complaints = await readByOthers(certificate);
  if (
    complaints.length > 0 ||
    !(await verifiesByOthers(certificate, issuer.certificate?.raw ?? certificate))
  ) {
    throw new BirthmarkError(
      'internal',
      `other libraries read the new certificate of ${plan.name} differently: ${complaints.join('; ')}`,
    );
  }
  const reservation: Reservation = {
    serial,
    authority: issuer.name,
    deviceId: null,
    profile: plan.profile,
    keyHash: hashKey(spki),
    notBefore,
    notAfter,
    shard: 0,
    tbs,
    vouchedBy,
    holder: plan.holder,
    reservedAt: now,
  };
  return { certificate, reservation, signature };
}

/** A CA that was just certified, as the issuer of others. */
export function asIssuer(name: string, signer: Signer, certificate: Uint8Array): CertifyingCa {
  return { name, signer, certificate: parseCertificate(certificate) };
}
