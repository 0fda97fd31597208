import { asBuffer, equalBytes } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { GENERAL_NAME, type GeneralName } from '../general-name.ts';
import { ipAddressOctets } from '../ip-address.ts';
import type { PathCertificate } from './path-certificate.ts';
import { isHost } from './read-name-constraints.ts';
import type { Fault } from './verdict.ts';

/** A name that a certificate must have among its subjectAltNames; a common name is none (RFC 9525 §2). */
export interface PeerName {
  readonly kind: 'dns' | 'ip' | 'email';
  readonly value: string;
}

/** What RFC 9525 §6 holds against a leaf that is to have a name. */
export function peerNameFault(leaf: PathCertificate, peer: PeerName | undefined): Fault | undefined {
  if (!peer) return undefined;
  const { rules } = leaf;
  const names = rules instanceof BirthmarkError ? [] : (rules.subjectAltName ?? []);
  if (names.some((name) => isPeer(name, peer))) return undefined;
  return {
    reason: 'wrongUsage',
    detail: `${leaf.title} does not name ${peer.kind} ${JSON.stringify(peer.value)}`,
  };
}

function isPeer({ kind, content }: GeneralName, peer: PeerName): boolean {
  const text = () => asBuffer(content).toString('latin1');
  switch (peer.kind) {
    case 'dns':
      return kind === GENERAL_NAME.dns && matchesDns(text().toLowerCase(), peer.value.toLowerCase());
    case 'ip': {
      const octets = ipAddressOctets(peer.value);
      return kind === GENERAL_NAME.ip && octets !== undefined && equalBytes(octets, content);
    }
    case 'email':
      return kind === GENERAL_NAME.email && foldHost(text()) === foldHost(peer.value);
  }
}

/** RFC 9525 §6.3: label by label; a wildcard is the whole first label and stands for one. */
function matchesDns(presented: string, wanted: string): boolean {
  if (!isHost(wanted)) return false;
  if (!presented.startsWith('*.')) return isHost(presented) && presented === wanted;
  const parent = presented.slice(2);
  return (
    isHost(parent) &&
    parent.includes('.') &&
    wanted.slice(wanted.indexOf('.') + 1) === parent &&
    wanted.includes('.')
  );
}

/** RFC 5280 §7.5: only the host of a mailbox is without regard to case. */
function foldHost(mailbox: string): string {
  const at = mailbox.lastIndexOf('@');
  return mailbox.slice(0, at) + mailbox.slice(at).toLowerCase();
}
