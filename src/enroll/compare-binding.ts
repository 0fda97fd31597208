import { timingSafeEqual } from 'node:crypto';

/** What a challengePassword can hold (RFC 2985 §5.4.1). */
const MAX_TEXT = 255;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export type BindingVerdict = 'equal' | 'mismatch' | 'malformed';

/**
 * Compares a CSR's challengePassword with the binding of the connection that it came over (RFC 7030 §3.5). How long it takes
 * says nothing of the binding.
 *
 * @param challengePassword base64 of the binding, in one line
 * @param binding tls-unique of a TLS 1.2 connection (RFC 5929 §3), tls-exporter of a TLS 1.3 one (RFC 9266)
 */
export function compareBinding(challengePassword: string, binding: Uint8Array): BindingVerdict {
  const wellFormed =
    challengePassword.length > 0 && challengePassword.length <= MAX_TEXT && BASE64.test(challengePassword);
  const claimed = Buffer.from(wellFormed ? challengePassword : '', 'base64');
  if (!wellFormed || claimed.toString('base64') !== challengePassword) return 'malformed';
  return claimed.length === binding.length && timingSafeEqual(claimed, binding) ? 'equal' : 'mismatch';
}
