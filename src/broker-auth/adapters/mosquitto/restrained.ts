import { toHex } from '../../../core/bytes.ts';
import type { CredentialId } from '../../credential.ts';
import { certificateDigest, type DeniedEntry } from '../../denied-entry.ts';
import type { BehaviourGuard, Origin } from '../../ports.ts';

export interface Restrained {
  /** Looks at one of whom something was heard. */
  look(origin: Origin, credential: CredentialId, at: number): void;
  /** Looks who is free again. */
  tick(at: number): void;
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
  const isBlocked = (origin: Origin, at: number) =>
    guard.restraint(origin, listener, at)?.reason === 'blocked';
  const tell = () => deny([...known.values()].map(({ entry }) => entry));
  return {
    look(origin, credential, at) {
      if (!origin.identity) return;
      const digest = certificateDigest(credential);
      const key = toHex(digest);
      if (known.has(key) || !isBlocked(origin, at)) return;
      known.set(key, { origin, entry: { kind: 'certificate', digest } });
      tell();
    },
    tick(at) {
      const before = known.size;
      for (const [key, { origin }] of known) if (!isBlocked(origin, at)) known.delete(key);
      if (known.size < before) tell();
    },
  };
}
