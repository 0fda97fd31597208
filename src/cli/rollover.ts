import type { CrlRoom } from '../ca/crl/room.ts';
import { publishDueCrls } from '../ca/publish-due-crls.ts';
import type { GenerationDefaults, RolloverRoom } from '../ca/rollover/room.ts';
import type { Roster } from '../ca/roster.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import { createFileSigner, obtainKeyFile } from '../keys/file-signer.ts';
import type { SqliteLedger } from '../store/sqlite/open-ledger.ts';
import { DEFAULT_PUBLISHED_HOURS } from './config/default-config.ts';
import type { LoadedConfig } from './config/load-config.ts';
import type { Home } from './home.ts';
import { writePublicFiles } from './public-files.ts';

const HOUR_MS = 3_600_000;

export interface RolloverParts {
  readonly home: Home;
  readonly loaded: LoadedConfig;
  readonly passphrase: string;
  readonly ledger: SqliteLedger;
  readonly roster: Roster;
  readonly crls: CrlRoom;
  /** Guarded. */
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** How the authorities of a home are rolled over: keys in its `keys/`, certificates in its `pki/`. */
export function openRollover(parts: RolloverParts): RolloverRoom {
  const { home, loaded, passphrase, ledger, roster, crls, clock, random } = parts;
  const { authorities, rollover } = loaded.config;
  const defaults = new Map<string, GenerationDefaults>(Object.entries(authorities));
  return {
    ...{ ledger, roster, clock, random },
    urls: crls.urls,
    defaultsOf: (family) => defaults.get(family),
    obtainSigner: (name, algorithm) => createFileSigner(obtainKeyFile(home.key(name), algorithm, passphrase)),
    publish: async () => {
      await roster.look();
      writePublicFiles(home, roster.records, roster.crossCertificates);
      await publishDueCrls(crls, systemClock());
    },
    publishedMs: (rollover?.publishedHours ?? DEFAULT_PUBLISHED_HOURS) * HOUR_MS,
  };
}
