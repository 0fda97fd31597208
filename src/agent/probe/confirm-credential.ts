import type { Ask } from '../net/server-link.ts';
import type { Credential, ProbeVerdict } from '../ports.ts';

/**
 * Uses a credential at the authority: a TLS connection with it, and a question over that.
 *
 * @param est where EST is, in case that there is nothing else to ask
 */
export async function confirmCredential(
  ask: Ask,
  est: string,
  credential: Credential,
): Promise<ProbeVerdict> {
  const { status } = await ask({ method: 'GET', path: `${est}/cacerts` }, credential);
  if (status === 200) return { kind: 'accepted' };
  const detail = `the server answers ${status} to the new certificate`;
  return status === 401 || status === 403 ? { kind: 'refused', detail } : { kind: 'unclear', detail };
}
