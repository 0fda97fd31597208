import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Authorities, Authority } from './authority.ts';
import { createPreparer, type Preparer } from './prepare.ts';
import type { Profile } from './profile.ts';
import type { PublishedUrls } from './published-urls.ts';
import type { Roster } from './roster.ts';

/** The authorities with what they may issue. */
export interface IssuingRoom {
  readonly authorities: Authorities;
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Names of the profiles of kind idevid. */
  readonly idevidProfiles: ReadonlySet<string>;
  /** @throws BirthmarkError `profile-unknown` */
  profile(name: string): Profile;
  /** Whether neither the certificate of an authority nor one above it was taken back; as of a second ago. */
  stands(authority: string): boolean;
  /**
   * DER of what it takes to validate what was and will be issued of a profile: roots, with what they certified of each other,
   * and every generation of its authority that is not retired.
   *
   * @throws BirthmarkError `profile-unknown`
   */
  caCertificates(profile: string): readonly Uint8Array[];
  /**
   * As `createPreparer`, of the generation that is current now; its preparer throws `authority-revoked` besides.
   *
   * @throws BirthmarkError `profile-unknown`
   */
  preparer(profile: string): { readonly prepare: Preparer; readonly authority: Authority };
}

export interface IssuingRoomOptions {
  readonly authorities: Authorities;
  readonly profiles: readonly Profile[];
  readonly urls: PublishedUrls;
  readonly shards: number;
  readonly random: RandomBytes;
  /** As `Roster` has it; without it nobody is retired, and no root certified another one. */
  readonly roster?: Pick<Roster, 'current' | 'isRetired' | 'crossCertificates'>;
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
  roster,
  mayIssue,
}: IssuingRoomOptions): IssuingRoom {
  const byName = new Map(profiles.map((profile) => [profile.name, profile]));
  const issuerOf = ({ name, authority: family }: Profile): Authority => {
    const authority = roster ? roster.current(family) : authorities.get(family);
    if (authority) return authority;
    throw new BirthmarkError(
      'config-invalid',
      `profiles.${name}.authority: there is no authority ${family} in this home`,
    );
  };
  const makePreparer = (profile: Profile, authority: Authority) => {
    const prepare = createPreparer({ profile, authority, urls, shards, random });
    const standing: Preparer = (holder, now) => {
      if (!mayIssue(authority.name)) throw revoked(authority.name);
      return prepare(holder, now);
    };
    return { authority, prepare: standing };
  };
  // A generation that becomes current finds what was made for the one before of no use.
  const preparers = new Map(
    profiles.map((profile) => [profile.name, makePreparer(profile, issuerOf(profile))]),
  );
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
    stands: mayIssue,
    caCertificates: (name) => {
      const { authority: family } = find(byName, name);
      const known = [...authorities.values()].filter((one) => !roster?.isRetired(one.name));
      const issuing = known.filter((one) => one.isRoot || one.family === family);
      const across = (roster?.crossCertificates ?? []).filter(
        ({ subject, issuer }) => !roster?.isRetired(subject) && !roster?.isRetired(issuer),
      );
      return [...issuing.map(({ certificate }) => certificate.raw), ...across.map((one) => one.certificate)];
    },
    preparer: (name) => {
      const made = find(preparers, name);
      const profile = find(byName, name);
      const authority = issuerOf(profile);
      if (made.authority === authority) return made;
      const another = makePreparer(profile, authority);
      preparers.set(name, another);
      return another;
    },
  };
}

function revoked(authority: string): BirthmarkError {
  return new BirthmarkError(
    'authority-revoked',
    `the certificate of authority ${authority} was revoked or is held; it issues nothing more`,
  );
}
