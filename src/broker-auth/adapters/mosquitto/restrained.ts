import { toHex } from '../../../core/bytes.ts';
import type { CredentialId } from '../../credential.ts';
import { certificateDigest, type DeniedEntry } from '../../denied-entry.ts';
import type { BehaviourGuard, Origin } from '../../ports.ts';

export interface Restrained {
  /** Looks at one of whom something was heard. */
  look(origin: Origin, credential: CredentialId, at: number): void;
  /** Looks who is restrained, and who is free again. */
  tick(at: number): void;
  /** Whether it is the guard that has this one denied. */
  denies(credential: Pick<CredentialId, 'issuerKeyId' | 'serial'>): boolean;
}

/**
 * Whom the behaviour guard restrains now, as certificates that a snapshot denies: the plugin cannot ask the guard. Only
 * identities that a handshake proved, since an address cannot be denied there; and only blocks, since a throttle lets one
 * through now and then, which a snapshot cannot.
 */
export function createRestrained(
  guard: BehaviourGuard,
  listener: string,
  deny: (entries: readonly DeniedEntry[]) => void,
): Restrained {
  const known = new Map<string, { readonly origin: Origin; readonly entry: DeniedEntry }>();
  const isBlocked = (origin: Origin, at: number) => guard.isBlocked(origin, listener, at);
  const tell = () => deny([...known.values()].map(({ entry }) => entry));

  function add(origin: Origin, credential: Pick<CredentialId, 'issuerKeyId' | 'serial'>): boolean {
    const digest = certificateDigest(credential);
    const key = toHex(digest);
    if (known.has(key)) return false;
    known.set(key, { origin, entry: { kind: 'certificate', digest } });
    return true;
  }

  return {
    look(origin, credential, at) {
      if (origin.identity && isBlocked(origin, at) && add(origin, credential)) tell();
    },
    tick(at) {
      let isChanged = false;
      // Of those that held when the gate stopped nothing was heard yet; and what one did elsewhere holds here.
      for (const { identity, credential } of guard.blockedDevices(listener, at))
        if (add({ address: '', identity }, credential)) isChanged = true;
      for (const [key, { origin }] of known)
        if (!isBlocked(origin, at) && known.delete(key)) isChanged = true;
      if (isChanged) tell();
    },
    denies: (credential) => known.has(toHex(certificateDigest(credential))),
  };
}
