import type { CertificateFacts } from '../../../ca/ports.ts';

type OfDevice = Pick<CertificateFacts, 'deviceId' | 'profile'>;

/** Of which profiles members need new credentials. */
export interface WantedProfiles {
  /** Whether a credential takes the place of one that is replaced, by its profile. */
  fits(one: OfDevice): boolean;
  /** Those of the members that have one of each profile among these credentials. */
  complete(credentials: readonly OfDevice[]): ReadonlySet<number>;
}

/**
 * A member needs one new credential of each profile of which an LDevID of it is replaced: what it has of another profile cannot
 * stand in. Where only IDevIDs are, any LDevID does.
 *
 * @param old what is to be replaced
 */
export function wantedProfiles(
  old: readonly OfDevice[],
  idevidProfiles: ReadonlySet<string>,
): WantedProfiles {
  const wanted = new Map<number, ReadonlySet<string>>();
  for (const [deviceId, some] of Map.groupBy(old, (one) => one.deviceId))
    if (deviceId !== null)
      wanted.set(
        deviceId,
        new Set(some.flatMap(({ profile }) => (idevidProfiles.has(profile) ? [] : [profile]))),
      );
  const fits = ({ deviceId, profile }: OfDevice): boolean => {
    const profiles = deviceId === null ? undefined : wanted.get(deviceId);
    return profiles !== undefined && (profiles.size === 0 || profiles.has(profile));
  };
  return {
    fits,
    complete: (credentials) => {
      const had = Map.groupBy(credentials.filter(fits), ({ deviceId }) => deviceId ?? 0);
      return new Set(
        [...had].flatMap(([deviceId, some]) => {
          const profiles = new Set(some.map(({ profile }) => profile));
          return wanted.get(deviceId)?.isSubsetOf(profiles) ? [deviceId] : [];
        }),
      );
    },
  };
}
