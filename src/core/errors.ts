/**
 * Every code that an error of ours can carry. Callers branch on the code, never on the text.
 * The HTTP status of each is decided in one place, `src/server/problem.ts`.
 */
export const ERROR_CODES = [
  // What was sent cannot be read.
  'bad-request',
  'bad-json',
  'bad-base64',
  'bad-pem',
  'bad-der',
  'bad-csr',
  'bad-certificate',
  'line-too-long',
  'body-too-large',
  'body-too-slow',
  'unsupported-media-type',
  'method-not-allowed',
  'not-found',
  'too-many-requests',
  // The key, or the proof that the sender holds it.
  'proof-of-possession-failed',
  'signature-algorithm-not-allowed',
  'key-unreadable',
  'key-algorithm-not-allowed',
  'key-too-small',
  'key-too-large',
  'key-exponent',
  'key-small-factor',
  'key-fermat',
  'key-roca',
  'key-point-invalid',
  'key-blocked',
  'key-in-use',
  // Who asks, and for what.
  'unauthenticated',
  'forbidden',
  'profile-unknown',
  'profile-not-allowed',
  'name-invalid',
  'serial-number-invalid',
  'serial-number-mismatch',
  'serial-number-not-allowed',
  'hardware-name-invalid',
  'batch-not-allowed',
  'token-exhausted',
  'ticket-expired',
  'ticket-bound',
  'certificate-refused',
  'certificate-required',
  'admission-refused',
  'identity-differs',
  'channel-binding',
  'approval-waiting',
  'approval-denied',
  'certificate-revoked',
  'certificate-held',
  'reason-invalid',
  'device-already-born',
  'device-unknown',
  'device-restrained',
  'already-exists',
  'campaign-state',
  // What an authority tells of statuses, as a gate sees it.
  'snapshot-refused',
  'feed-broken',
  // What a device meets on its way to an authority.
  'server-untrusted',
  'answer-refused',
  'proxy-failed',
  'not-enrolled',
  'renewal-refused',
  'key-store-failed',
  // The house itself.
  'lint-failed',
  'clock-went-back',
  'config-invalid',
  'home-missing',
  'home-in-use',
  'home-unreadable',
  'key-file-permissions',
  'key-file-unreadable',
  'passphrase-missing',
  'passphrase-wrong',
  'listen-failed',
  'ledger-busy',
  'ledger-full',
  'ledger-failed',
  'ledger-newer',
  'ledger-older',
  'act-too-large',
  'record-missing',
  'record-behind',
  'record-foreign',
  'record-broken',
  'backup-invalid',
  'authority-expired',
  'authority-revoked',
  'authority-not-ready',
  'authority-in-use',
  'unavailable',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface ErrorOptions {
  /** The member of the input that broke the rule, as the sender wrote it (`csr`, `profiles.idevid.validityDays`). */
  readonly field?: string;
  /** What happened underneath: logged, never shown to a client. */
  readonly cause?: unknown;
}

/**
 * The one error class. `message` is what a client may read: it names the rule and what to do, and holds no secret.
 */
export class BirthmarkError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'BirthmarkError';
    this.code = code;
    this.field = options.field;
  }
}
