import { parseCertificate } from '../../../src/x509/certificate.ts';
import { DerReader } from '../../../src/x509/der/reader.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { EXTENDED_KEY_USAGE } from '../../../src/x509/extensions.ts';
import { type CertIdHash, certIdIssuer } from '../../../src/x509/ocsp-cert-id.ts';
import { encodeCertId } from '../../../src/x509/ocsp-request.ts';
import { type CertStatus, encodeOcspResponse, encodeResponseData } from '../../../src/x509/ocsp-response.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';
import { makeCertificate, NOW, type Party, type Traits } from '../../x509/path/make-certificate.ts';
import { signed } from '../../x509/samples.ts';

/** What an answer differs in from a usual one, which says good. */
export interface AnswerTraits {
  readonly issuer: Party;
  readonly about: Party;
  readonly status?: CertStatus;
  readonly thisUpdate?: number;
  readonly nextUpdate?: number;
  /** Absent: the issuer itself. */
  readonly signer?: Party;
  readonly hash?: CertIdHash;
  readonly parameters?: 'null' | 'absent';
}

/** A responder that a CA certified. */
export function makeResponder(issuer: Party, traits: Traits = {}): Party {
  return makeCertificate({ cn: 'responder', issuer, purposes: [EXTENDED_KEY_USAGE.ocspSigning], ...traits });
}

function certIdOf({ issuer, about, hash = 'sha256', parameters = 'absent' }: AnswerTraits): Buffer {
  const { tbs } = parseCertificate(issuer.der);
  const name = certIdIssuer({ name: tbs.subject, spki: tbs.spki }, hash, parameters);
  return encodeCertId(name, parseCertificate(about.der).tbs.serial);
}

/** DER of an OCSPResponse. */
export function makeAnswer(traits: AnswerTraits): Buffer {
  const { issuer, status = { status: 'good' }, signer = issuer } = traits;
  const { thisUpdate = NOW - 1000, nextUpdate = NOW + 3_600_000 } = traits;
  const data = encodeResponseData({
    keyId: keyIdentifier(signer.key.spki),
    producedAt: thisUpdate,
    responses: [{ certId: certIdOf(traits), status, thisUpdate, nextUpdate }],
  });
  // `signed` makes a SIGNED{…} of it, of which the signature is used.
  const outer = new DerReader(signed(signer.key, data)).sequence('signed');
  outer.raw('data', TAG.sequence);
  const algorithm = outer.raw('algorithm', TAG.sequence);
  return encodeOcspResponse(data, algorithm, outer.octetsOfBitString('signature'), signer.der);
}
