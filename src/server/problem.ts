import { BirthmarkError, type ErrorCode } from '../core/errors.ts';

/** The only place that knows HTTP status codes of errors. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  'bad-request': 400,
  'bad-json': 400,
  'bad-base64': 400,
  'bad-pem': 400,
  'bad-der': 400,
  'bad-csr': 400,
  'bad-certificate': 400,
  'line-too-long': 413,
  'body-too-large': 413,
  'body-too-slow': 408,
  'unsupported-media-type': 415,
  'method-not-allowed': 405,
  'not-found': 404,
  'too-many-requests': 429,
  'proof-of-possession-failed': 400,
  'signature-algorithm-not-allowed': 400,
  'key-unreadable': 400,
  'key-algorithm-not-allowed': 400,
  'key-too-small': 400,
  'key-too-large': 400,
  'key-exponent': 400,
  'key-small-factor': 400,
  'key-fermat': 400,
  'key-roca': 400,
  'key-point-invalid': 400,
  'key-blocked': 403,
  'key-in-use': 409,
  unauthenticated: 401,
  forbidden: 403,
  'profile-unknown': 400,
  'profile-not-allowed': 403,
  'name-invalid': 400,
  'serial-number-invalid': 400,
  'serial-number-mismatch': 403,
  'serial-number-not-allowed': 403,
  'hardware-name-invalid': 400,
  'batch-not-allowed': 403,
  'token-exhausted': 403,
  'ticket-expired': 401,
  'ticket-bound': 409,
  'certificate-refused': 403,
  'certificate-required': 401,
  'admission-refused': 403,
  'identity-differs': 403,
  'channel-binding': 403,
  'approval-waiting': 202,
  'approval-denied': 403,
  'certificate-revoked': 403,
  'certificate-held': 403,
  'reason-invalid': 400,
  'device-already-born': 409,
  'device-unknown': 404,
  'device-restrained': 403,
  'already-exists': 409,
  'campaign-state': 409,
  'snapshot-refused': 502,
  'feed-broken': 502,
  'server-untrusted': 502,
  'answer-refused': 502,
  'proxy-failed': 502,
  'not-enrolled': 500,
  'renewal-refused': 502,
  'key-store-failed': 500,
  'lint-failed': 422,
  'clock-went-back': 503,
  'config-invalid': 500,
  'home-missing': 500,
  'home-in-use': 500,
  'home-unreadable': 500,
  'key-file-permissions': 500,
  'key-file-unreadable': 500,
  'passphrase-missing': 500,
  'passphrase-wrong': 500,
  'listen-failed': 500,
  'authority-expired': 503,
  'authority-revoked': 503,
  'authority-not-ready': 409,
  'authority-in-use': 409,
  'ledger-busy': 503,
  'ledger-full': 507,
  'ledger-failed': 503,
  'ledger-newer': 500,
  'ledger-older': 500,
  'act-too-large': 413,
  'record-missing': 503,
  'record-behind': 503,
  'record-foreign': 503,
  'record-broken': 503,
  'backup-invalid': 500,
  unavailable: 503,
  internal: 500,
};

/** RFC 9457. `code` is ours and what a program should look at. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly field?: string;
}

/**
 * The problem document of any error. What is not ours becomes a bare 500: its text is for the log, not for clients.
 */
export function toProblem(error: unknown): Problem {
  const known = toBirthmarkError(error);
  const status = STATUS[known.code];
  const bare = status === 500;
  return {
    type: `urn:birthmark:error:${bare ? 'internal' : known.code}`,
    title: (bare ? 'internal' : known.code).replaceAll('-', ' '),
    status,
    code: bare ? 'internal' : known.code,
    detail: bare ? 'the fault is on this side; it is in the log' : known.message,
    ...(known.field === undefined || bare ? {} : { field: known.field }),
  };
}

/** Reads the errors that the HTTP framework throws by itself into codes of ours. */
function toBirthmarkError(error: unknown): BirthmarkError {
  if (error instanceof BirthmarkError) return error;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new BirthmarkError('body-too-large', 'the body is larger than this address takes');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new BirthmarkError(
        'unsupported-media-type',
        'the Content-Type is not one that this address takes',
      );
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new BirthmarkError('bad-json', 'the body is no JSON (RFC 8259)');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new BirthmarkError('bad-request', 'the body is not as long as Content-Length says');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new BirthmarkError('not-found', 'there is nothing at this address');
    case 'FST_ERR_BAD_URL':
      return new BirthmarkError('bad-request', 'the path is not a valid URL path');
    default:
      return new BirthmarkError('internal', 'internal', { cause: error });
  }
}
