import { isIPv6 } from 'node:net';
import type { Origin } from '../ports.ts';

/** What a list of blocks knows somebody as. An attacker has as many addresses as he likes, but no device that is not his. */
export type WhoKind = 'device' | 'certificate' | 'address';

/**
 * Whom something counts against: the device where the handshake proved it, the certificate where that was proven and is no
 * good any more, the address otherwise. So nobody gets a victim restrained by using its name.
 *
 * @returns `device:NAMESPACE/ID`, `certificate:ISSUERKEYID/SERIAL` or `address:ADDRESS`
 */
export function whoIs({ address, identity, credential }: Origin): string {
  if (identity) return `device:${identity.namespace}/${identity.id}`;
  if (credential) return `certificate:${credential.issuerKeyId}/${credential.serial}`;
  return `address:${networkOf(address)}`;
}

export function kindOf(who: string): WhoKind {
  if (who.startsWith('device:')) return 'device';
  return who.startsWith('certificate:') ? 'certificate' : 'address';
}

/** One subscriber has a whole /64 of IPv6: an address of it costs him nothing. */
function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [plain = ''] = address.toLowerCase().split('%');
  if (!isIPv6(plain)) return address;
  const [head = '', tail] = plain.split('::');
  const front = groupsOf(head);
  const back = groupsOf(tail ?? '');
  const zeros =
    tail === undefined ? [] : new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const groups = [...front, ...zeros, ...back].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}

/** An IPv4 address at the end stands for two groups. */
function groupsOf(part: string): readonly string[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]));
}
