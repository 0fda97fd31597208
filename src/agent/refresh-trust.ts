import { hash } from 'node:crypto';
import { equalBytes, toHex } from '../core/bytes.ts';
import { nameToText } from '../x509/name.ts';
import { readSubject } from '../x509/read-subject.ts';
import type { AgentParts } from './parts.ts';
import { updateTrust } from './trust-update.ts';

/**
 * Fetches CA certificates over the authenticated channel and takes over what may be (RFC 7030 §4.1.2: before what is stored is
 * of no use any more). Who uses the credential is to be told of other roots too. Roots are written before the CAs below them, and each file is whole at any time.
 *
 * @returns whether the roots are others now
 * @throws BirthmarkError as `Authority.caCertificates`
 */
export async function refreshTrust(parts: AgentParts): Promise<boolean> {
  const { authority, state, time, tell, acceptUnlinkedRoots } = parts;
  const { certificates, serverChain } = await authority.caCertificates();
  const before = state.readCertificates('trust.pem');
  const chain = state.current()?.chain();
  const update = updateTrust(certificates, {
    anchors: before,
    at: time.now(),
    acceptUnlinked: acceptUnlinkedRoots,
    mustHold: [serverChain, ...(chain ? [chain] : [])],
  });
  for (const root of update.refused)
    tell({
      level: 'warn',
      event: 'root-refused',
      detail: `the server tells of a new root, ${describe(root)}, that none of ours vouches for; it is not trusted`,
    });
  const changed = !sameSet(before, update.anchors);
  if (changed) {
    state.unannounce();
    state.writeCertificates('trust.pem', update.anchors);
    const roots = update.anchors.map(describe).join('; ');
    tell({ level: 'info', event: 'trust-changed', detail: `the roots are now: ${roots}` });
  }
  if (!sameSet(state.readCertificates('intermediates.pem'), update.intermediates))
    state.writeCertificates('intermediates.pem', update.intermediates);
  return changed;
}

function describe(root: Uint8Array): string {
  return `${nameToText(readSubject(root))} (SHA-256 ${toHex(hash('sha256', root, 'buffer'))})`;
}

function sameSet(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((one) => b.some((other) => equalBytes(one, other)));
}
