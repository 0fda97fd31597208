import { constructed, type Der, encode, explicit, primitive, sequence } from './der/encode.ts';
import { TAG } from './der/tags.ts';
import { encodeTimeContent } from './der/time.ts';
import { bitString, integer, nullValue, octetString, oid } from './der/values.ts';
import { extension } from './extensions.ts';
import { nonceExtension, OCSP_EXTENSION } from './ocsp-request.ts';

/** OCSPResponseStatus of RFC 6960 §4.2.1; 4 is not used. */
export const OCSP_STATUS = {
  successful: 0,
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  sigRequired: 5,
  unauthorized: 6,
} as const;

export type OcspFailure = Exclude<keyof typeof OCSP_STATUS, 'successful' | 'sigRequired'>;

/** What is said of one certificate. Times in milliseconds since the epoch, written in whole seconds. */
export type CertStatus =
  | { readonly status: 'good' }
  | { readonly status: 'unknown' }
  | {
      readonly status: 'revoked';
      readonly revokedAt: number;
      /** Number of a CRLReason; absent for unspecified. */
      readonly reason?: number;
    };

export interface SingleResponse {
  /** CertID, DER, as it was asked for. */
  readonly certId: Uint8Array;
  readonly status: CertStatus;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Since when statuses are kept, however long a certificate has ended (RFC 6960 §4.4.4). */
  readonly archiveCutoff?: number;
}

export interface ResponseData {
  /** SHA-1 of the signer's key, whatever hash a CertID has (RFC 9919 §3.2.1). */
  readonly keyId: Uint8Array;
  readonly producedAt: number;
  readonly responses: readonly SingleResponse[];
  readonly nonce?: Uint8Array;
  /** A serial that was never issued is called revoked (RFC 6960 §4.4.8). */
  readonly extendedRevoke?: boolean;
}

const GOOD = encode(primitive(TAG.context, new Uint8Array(0)));
const UNKNOWN = encode(primitive(TAG.context | 2, new Uint8Array(0)));
const EXTENDED_REVOKE = encode(extension(OCSP_EXTENSION.extendedRevoke, false, nullValue()));
const ARCHIVE_CUTOFF = encode(oid(OCSP_EXTENSION.archiveCutoff));
const BASIC = encode(oid('1.3.6.1.5.5.7.48.1.1'));
const SUCCESSFUL = encode(integer(OCSP_STATUS.successful, TAG.enumerated));
/** As `primitive`: the tag of an OCTET STRING around values that are encoded in the same go. */
const octetsAround = (part: Der) => constructed(TAG.octetString, [part]);

/** DER of ResponseData (RFC 6960 §4.2.1): what is signed. */
export function encodeResponseData({
  keyId,
  producedAt,
  responses,
  nonce,
  extendedRevoke,
}: ResponseData): Buffer {
  const extensions: Der[] = [];
  if (nonce !== undefined) extensions.push(nonceExtension(nonce));
  if (extendedRevoke) extensions.push(EXTENDED_REVOKE);
  return encode(
    sequence(
      explicit(2, octetString(keyId)),
      generalizedTime(producedAt),
      constructed(TAG.sequence, responses.map(encodeSingle)),
      ...(extensions.length === 0 ? [] : [explicit(1, constructed(TAG.sequence, extensions))]),
    ),
  );
}

function encodeSingle({ certId, status, thisUpdate, nextUpdate, archiveCutoff }: SingleResponse): Der {
  const fields: Der[] = [
    certId,
    encodeStatus(status),
    generalizedTime(thisUpdate),
    explicit(0, generalizedTime(nextUpdate)),
  ];
  if (archiveCutoff !== undefined) {
    const cutoff = octetsAround(generalizedTime(archiveCutoff));
    fields.push(explicit(1, sequence(sequence(ARCHIVE_CUTOFF, cutoff))));
  }
  return constructed(TAG.sequence, fields);
}

/** CertStatus: IMPLICIT tags but for the reason, which is EXPLICIT. */
function encodeStatus(status: CertStatus): Der {
  if (status.status === 'good') return GOOD;
  if (status.status === 'unknown') return UNKNOWN;
  const { revokedAt, reason } = status;
  const at = generalizedTime(revokedAt);
  const why = reason === undefined ? [] : [explicit(0, integer(reason, TAG.enumerated))];
  return constructed(TAG.contextConstructed | 1, [at, ...why]);
}

/** Always GeneralizedTime, without a fraction (RFC 6960 §4.2.2.1). */
function generalizedTime(milliseconds: number): Der {
  return primitive(TAG.generalizedTime, encodeTimeContent(milliseconds, true));
}

/** DER of a successful OCSPResponse with the signer's certificate in it. */
export function encodeOcspResponse(
  data: Uint8Array,
  signatureAlgorithm: Uint8Array,
  signature: Uint8Array,
  certificate: Uint8Array,
): Buffer {
  const basic = sequence(data, signatureAlgorithm, bitString(signature), explicit(0, sequence(certificate)));
  return encode(sequence(SUCCESSFUL, explicit(0, sequence(BASIC, octetsAround(basic)))));
}

/** DER of an OCSPResponse that is an error: a status and nothing else. */
export function encodeOcspFailure(failure: OcspFailure): Buffer {
  return encode(sequence(integer(OCSP_STATUS[failure], TAG.enumerated)));
}
