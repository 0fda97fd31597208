import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Authorities, Authority } from './authority.ts';
import { createPreparer, type Preparer } from './prepare.ts';
import type { Profile } from './profile.ts';
import type { PublishedUrls } from './published-urls.ts';

/** The authorities with what they may issue. */
export interface IssuingRoom {
  readonly authorities: Authorities;
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Names of the profiles of kind idevid. */
  readonly idevidProfiles: ReadonlySet<string>;
  /** @throws BirthmarkError `profile-unknown` */
  profile(name: string): Profile;
  /** As `createPreparer`, whose preparer throws `authority-revoked` besides. @throws BirthmarkError `profile-unknown` */
  preparer(profile: string): { readonly prepare: Preparer; readonly authority: Authority };
}

export interface IssuingRoomOptions {
  readonly authorities: Authorities;
  readonly profiles: readonly Profile[];
  readonly urls: PublishedUrls;
  readonly shards: number;
  readonly random: RandomBytes;
  /** Whether an authority's own certificate stands, see `createStanding`. Asked for each certificate. */
  readonly mayIssue: (authority: string) => boolean;
}

/** @throws BirthmarkError `config-invalid` where a profile names an authority that does not exist */
export function createIssuingRoom({
  authorities,
  profiles,
  urls,
  shards,
  random,
  mayIssue,
}: IssuingRoomOptions): IssuingRoom {
  const byName = new Map(profiles.map((profile) => [profile.name, profile]));
  const preparers = new Map<string, { prepare: Preparer; authority: Authority }>();
  for (const profile of profiles) {
    const authority = authorities.get(profile.authority);
    if (!authority) {
      throw new BirthmarkError(
        'config-invalid',
        `profiles.${profile.name}.authority: there is no authority ${profile.authority} in this home`,
      );
    }
    const prepare = createPreparer({ profile, authority, urls, shards, random });
    preparers.set(profile.name, {
      authority,
      prepare: (holder, now) => {
        if (!mayIssue(authority.name)) throw revoked(authority.name);
        return prepare(holder, now);
      },
    });
  }
  const find = <T>(map: ReadonlyMap<string, T>, name: string): T => {
    const found = map.get(name);
    if (found) return found;
    throw new BirthmarkError(
      'profile-unknown',
      `there is no profile ${JSON.stringify(name).slice(0, 80)}; there are ${[...byName.keys()].join(', ')}`,
      {
        field: 'profile',
      },
    );
  };
  return {
    authorities,
    profiles: byName,
    idevidProfiles: new Set(profiles.filter(({ kind }) => kind === 'idevid').map(({ name }) => name)),
    profile: (name) => find(byName, name),
    preparer: (name) => find(preparers, name),
  };
}

function revoked(authority: string): BirthmarkError {
  return new BirthmarkError(
    'authority-revoked',
    `the certificate of authority ${authority} was revoked or is held; it issues nothing more`,
  );
}
