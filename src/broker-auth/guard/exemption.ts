import { BlockList as NetworkList } from 'node:net';
import type { Origin } from '../ports.ts';
import type { GuardRules } from './parse-guard.ts';

/** Whether somebody is never restrained: by its address as long as it is only an address, by its name once it proved that. */
export function createExemption({ networks, devices }: GuardRules['exempt']): (origin: Origin) => boolean {
  const list = new NetworkList();
  for (const { address, bits, family } of networks) list.addSubnet(address, bits, family);
  const names = new Set(devices.filter((name) => !name.endsWith('*')));
  const beginnings = devices.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  return ({ address, identity, credential }) => {
    if (identity) {
      const name = `${identity.namespace}/${identity.id}`;
      return names.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
    }
    if (credential) return false;
    // Of a broker that tells no addresses: all of its clients would be one.
    if (address === '') return true;
    if (networks.length === 0) return false;
    return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
  };
}
