import { hash } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { TbsCertificate } from '../../x509/certificate.ts';
import { certIdIssuers } from '../../x509/ocsp-cert-id.ts';
import { encodeCertId } from '../../x509/ocsp-request.ts';
import { judgeOcspResponse, type OcspResponse, type ReadSingle } from '../../x509/ocsp-response-reader.ts';
import type { CredentialId } from '../credential.ts';
import { EVIDENCE_SKEW_MS } from '../crl/date-evidence.ts';
import type { StatusSource } from '../status-source.ts';

export interface AnswerExpectation {
  /** The CA whose certificate it is about. */
  readonly issuer: TbsCertificate;
  /** Of that CA, hexadecimal. */
  readonly issuerKeyId: string;
  /** Content octets of the certificate's serialNumber. */
  readonly serial: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Who is known to have been taken back signs no answer. */
  readonly sources: readonly StatusSource[];
}

/**
 * What an answer says of a certificate (RFC 6960 §3.2): signed by its CA or by whom that CA made its responder and has not taken back,
 * about this certificate, and current. A CertID may name the CA in any way that there is.
 *
 * @returns why it does not hold, for people, where it does not
 */
export function verifyAnswer(
  response: OcspResponse,
  { issuer, issuerKeyId, serial, now, sources }: AnswerExpectation,
): ReadSingle | string {
  const names = certIdIssuers({ name: issuer.subject, spki: issuer.spki });
  try {
    return judgeOcspResponse(response, {
      issuer: { tbs: issuer },
      certId: names.map(({ octets }) => encodeCertId(octets, serial)),
      now,
      skewMs: EVIDENCE_SKEW_MS,
      signerFault: (signer) => signerFault(signer, issuerKeyId, sources),
    });
  } catch (error) {
    if (error instanceof BirthmarkError) return error.message;
    throw error;
  }
}

/** A responder's certificate is under the CA that it answers for; with id-pkix-ocsp-nocheck nobody need know more of it. */
function signerFault(
  { serial, spki }: TbsCertificate,
  issuerKeyId: string,
  sources: readonly StatusSource[],
): string | undefined {
  const id: CredentialId = { issuerKeyId, serial: toHex(serial), keyHash: hash('sha256', spki, 'hex') };
  const bad = sources
    .map((source) => source.statusOf(id)?.status ?? 'good')
    .find((status) => status !== 'good');
  return bad && `is ${bad}`;
}
