import { DerReader } from './der/reader.ts';

/** SSL_SESS_FLAG_EXTMS of OpenSSL, in the member [13] of its session. */
const EXTENDED_MASTER_SECRET = 1;
const FLAGS_TAG = 0xad;

/** Whether a TLS 1.2 session has it (RFC 7627). Node does not say it; OpenSSL writes it into the session. */
export function hasExtendedMasterSecret(session: Uint8Array | undefined): boolean {
  if (!session) return false;
  const reader = new DerReader(session).sequence('session');
  while (!reader.atEnd) {
    const flags = reader.enterOptional(FLAGS_TAG, 'flags');
    if (flags) return (flags.smallInteger('flags') & EXTENDED_MASTER_SECRET) !== 0;
    reader.raw('member');
  }
  return false;
}
