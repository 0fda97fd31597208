import type { Clock } from '../../core/clock.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { certificateKeyOf } from '../credential.ts';
import { certificateDigest, type DeniedChange, type DeniedSource, keyDigest } from '../denied-entry.ts';
import type { ReadSnapshot } from './read-snapshot.ts';
import type { Change } from './wire.ts';

/** Where nothing is known yet: as old as can be, so that who needs to know denies. */
const NOWHERE = { epoch: 'none', sequence: 0, asOf: 0 } as const;

/** What the feed told, as all that is denied: for a broker that looks for itself. */
export function deniedSource(
  known: () => ReadSnapshot | undefined,
  clock: Clock,
  steady: SteadyClock,
): DeniedSource {
  return {
    position() {
      const table = known()?.table;
      if (!table) return NOWHERE;
      // By the wall clock of now, which a broker goes by that looks for itself; in whole milliseconds, as snapshots have it.
      return { ...table.position, asOf: Math.max(0, Math.floor(clock() - table.ageMs(steady.now()))) };
    },
    denied: () => known()?.table.denied() ?? [],
    isDenied: (id) => (known()?.table.statusOf(certificateKeyOf(id)).status ?? 'good') !== 'good',
    knowsIssuer: (issuerKeyId) =>
      known()?.header.authorities.some((authority) => authority.issuerKeyId === issuerKeyId) ?? false,
  };
}

/** What a change of a status does to what is denied: a stolen key stays so, whatever becomes of its certificate. */
export function deniedChanges({
  issuerKeyId,
  serial,
  keyHash,
  status,
  reason,
}: Pick<Change, 'issuerKeyId' | 'serial' | 'keyHash' | 'status' | 'reason'>): readonly DeniedChange[] {
  const denied = status !== 'good';
  const certificate = {
    kind: 'certificate',
    digest: certificateDigest({ issuerKeyId, serial }),
    denied,
  } as const;
  if (status !== 'revoked' || reason !== 'keyCompromise') return [certificate];
  return [certificate, { kind: 'key', digest: keyDigest(keyHash), denied: true }];
}
