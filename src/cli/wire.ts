import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Authorities } from '../ca/authority.ts';
import type { CrlRoom } from '../ca/crl/room.ts';
import { guardClock } from '../ca/guarded-clock.ts';
import { createIssuingRoom, type IssuingRoom } from '../ca/issuing-room.ts';
import { publishedUrls } from '../ca/published-urls.ts';
import type { RolloverRoom } from '../ca/rollover/room.ts';
import { openRoster, type Roster } from '../ca/roster.ts';
import { createStanding } from '../ca/standing.ts';
import { type Clock, systemClock, systemMonotonic } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { poolRandom } from '../core/pooled-random.ts';
import type { RandomBytes } from '../core/random.ts';
import { createSteadyClock, type SteadyClock } from '../core/steady-clock.ts';
import { createDeviceDoor, type DeviceDoor } from '../enroll/device-door.ts';
import { createEnroller, type Enroller } from '../enroll/enroller.ts';
import { createIdentifier } from '../enroll/identify.ts';
import { createServiceIssuer, type ServiceIssuer } from '../enroll/service-issuer.ts';
import { type CampaignDesk, createCampaignDesk } from '../fleet/campaign/desk.ts';
import { createHygiene, type Hygiene } from '../fleet/hygiene/hygiene.ts';
import { DEFAULT_HYGIENE } from '../fleet/hygiene/settings.ts';
import { createDeviceDesk, type DeviceDesk } from '../fleet/recovery/device-desk.ts';
import type { RenewalDesk } from '../fleet/renewal/renewal-desk.ts';
import { createRevoker, type Revoker } from '../fleet/revoker.ts';
import { createUseNoter, type UseNoter } from '../fleet/rotation/note-use.ts';
import { DEFAULT_ROTATION, parseRotation, type RotationPolicy } from '../fleet/rotation/settings.ts';
import { type PassphraseSource, readPassphrase } from '../keys/passphrase.ts';
import { createMetrics, type Metrics } from '../server/metrics.ts';
import { watchRotations } from '../server/rotation-metrics.ts';
import { createStatusTail, type StatusTail } from '../server/status/status-tail.ts';
import { openLedger, type SqliteLedger } from '../store/sqlite/open-ledger.ts';
import { type BackOffice, createBackOffice } from './back-office/back-office.ts';
import { DEFAULT_COALESCE_SECONDS, DEFAULT_IDP } from './config/default-config.ts';
import type { LoadedConfig } from './config/load-config.ts';
import type { Home } from './home.ts';
import { ledgerPlace } from './ledger-place.ts';
import { createLogger } from './logger.ts';
import { openSigner } from './open-signer.ts';
import { programVersion } from './program-version.ts';
import { openRollover } from './rollover.ts';

/** Everything of a home, built and open. */
export interface House {
  readonly home: Home;
  readonly loaded: LoadedConfig;
  readonly logger: Logger;
  /** Guarded: refuses to go back. */
  readonly clock: Clock;
  readonly wallClock: Clock;
  /** Ages of what is known of statuses go by it. */
  readonly steady: SteadyClock;
  readonly random: RandomBytes;
  readonly ledger: SqliteLedger;
  readonly authorities: Authorities;
  readonly roster: Roster;
  /** How authorities are rolled over. */
  readonly rollover: RolloverRoom;
  readonly issuing: IssuingRoom;
  /** What publishing lists needs. */
  readonly crls: CrlRoom;
  readonly enroll: Enroller;
  readonly devices: DeviceDoor;
  readonly rotation: RotationPolicy;
  readonly uses: UseNoter;
  /** Told how many certificates were retired. */
  readonly countRetired: (count: number) => void;
  readonly issueService: ServiceIssuer;
  readonly revoker: Revoker;
  readonly deviceDesk: DeviceDesk;
  readonly renewal: RenewalDesk;
  /** Whether recovery tickets wait for a second person. */
  readonly secondApproval: boolean;
  readonly campaigns: CampaignDesk;
  readonly hygiene: Hygiene;
  /** One for all listeners of the process. */
  readonly tail: StatusTail;
  readonly metrics: Metrics;
  readonly passphrase: string;
  /** Of a house that serves. */
  readonly office: BackOffice | undefined;
  readonly version: string;
  close(): void;
}

export interface HouseOptions {
  /** Names this process in metrics. */
  readonly worker?: string;
  /** There is somebody to serve while long works are done. */
  readonly withOffice?: boolean;
}

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
/** What another process did to authorities is known here within a second: half of it is for the look itself. */
const LOOK_EVERY_MS = SECOND_MS / 2;

export const random: RandomBytes = poolRandom((size) => randomBytes(size));

/** The passphrase from the environment, or from the file that the configuration names. */
export function passphraseSource(
  home: Home,
  loaded: LoadedConfig,
  environment: NodeJS.ProcessEnv,
): PassphraseSource {
  const given = environment.BIRTHMARK_PASSPHRASE;
  if (given !== undefined) return { kind: 'given', passphrase: given, from: 'BIRTHMARK_PASSPHRASE' };
  return { kind: 'file', path: resolve(home.path, loaded.config.keys.passphraseFile) };
}

/**
 * Opens the home: ledger, keys, profiles, and the way from a request to a certificate.
 *
 * @throws BirthmarkError `home-missing` (no hierarchy in it), or as the parts do
 */
export async function openHouse(
  home: Home,
  loaded: LoadedConfig,
  environment: NodeJS.ProcessEnv,
  { worker = '0', withOffice = false }: HouseOptions = {},
): Promise<House> {
  const { config, profiles } = loaded;
  let tail: StatusTail | undefined;
  let office: BackOffice | undefined;
  const logger = createLogger(config.log.level);
  const { path, record } = ledgerPlace(home, loaded);
  const ledger = openLedger({
    path,
    record: {
      ...record,
      onCut: (octets) =>
        logger.warn(
          { octets },
          'the record ended within a frame, which was cut off: nothing was done by it, unless the record is a copy that lacks its end',
        ),
    },
    onCommit: () => tail?.stir(),
  });
  try {
    if ((await ledger.read.listAuthorities()).length === 0) {
      throw new BirthmarkError(
        'home-missing',
        `the home in ${home.path} has no authorities yet; birthmark init makes them`,
      );
    }
    const passphrase = readPassphrase(passphraseSource(home, loaded, environment));
    const roster = await openRoster({
      reads: ledger.read,
      signerOf: (record) => openSigner(home, record, passphrase),
    });
    const { authorities } = roster;
    const clock = guardClock(systemClock, await ledger.read.latestReservation());
    const urls = publishedUrls(config.publicUrl);
    const standing = createStanding({
      authorities,
      reads: ledger.read,
      onFall: (authority) =>
        logger.error(
          { authority },
          'the certificate of an authority was revoked or is held: it issues nothing',
        ),
    });
    await standing.look();
    const issuing = createIssuingRoom({
      authorities,
      profiles,
      urls,
      shards: config.crl.shards,
      random,
      roster,
      mayIssue: standing.mayIssue,
    });
    const {
      shards,
      validityHours,
      coalesceSeconds = DEFAULT_COALESCE_SECONDS,
      idp = DEFAULT_IDP,
    } = config.crl;
    const policy = {
      shards,
      validityMs: validityHours * HOUR_MS,
      coalesceMs: coalesceSeconds * SECOND_MS,
      idp,
    };
    const { idevidProfiles } = issuing;
    const { publicUrl, log } = config;
    const rotation = parseRotation(config.rotation ?? DEFAULT_ROTATION);
    office = withOffice
      ? createBackOffice({
          ...{ home: home.path, recordPath: record.path, passphrase, publicUrl, policy, idevidProfiles },
          rotation,
          logLevel: log.level,
        })
      : undefined;
    const crls: CrlRoom = {
      ledger,
      authorities,
      urls,
      policy,
      ...(office && { publishLarge: office.publish }),
    };
    const shared = { ledger, issuing, keyLimits: config.keyPolicy, clock };
    const taking = {
      idevidProfiles,
      clock: systemClock,
      onUnpublished: (error: unknown) =>
        logger.error(
          { err: error },
          'a revocation is in the ledger and not in its CRL yet; it is tried again',
        ),
    };
    const metrics = createMetrics(worker);
    const uses = createUseNoter({ policy: rotation, idevidProfiles: issuing.idevidProfiles });
    const countRetired = watchRotations(metrics, ledger.read);
    const enroll = metrics.counting(createEnroller({ ...shared, maxUnseen: rotation.maxUnseen }));
    metrics.followCampaigns(ledger.read);
    const steady = createSteadyClock(systemClock, systemMonotonic);
    const statusTail = createStatusTail({
      ledger: ledger.read,
      clock: systemClock,
      steady,
      onFault: (error) =>
        logger.error({ err: error }, 'the status feed cannot see the ledger; it tries again'),
    });
    tail = statusTail;
    const identify = createIdentifier({ ledger, authorities, issuing });
    const lookAround = async () => {
      await roster.look();
      await standing.look();
    };
    const timer = setInterval(() => {
      lookAround().catch((error: unknown) => logger.error({ err: error }, 'the ledger could not be asked'));
    }, LOOK_EVERY_MS).unref();
    return {
      home,
      loaded,
      logger,
      clock,
      wallClock: systemClock,
      steady,
      random,
      ledger,
      authorities,
      roster,
      rollover: openRollover({ home, loaded, passphrase, ledger, roster, crls, clock, random }),
      issuing,
      crls,
      enroll,
      rotation,
      uses,
      countRetired,
      devices: createDeviceDoor({ ledger, enroll, identify, uses, clock }),
      issueService: createServiceIssuer(shared),
      renewal: {
        reads: ledger.read,
        policy: rotation,
        idevidProfiles: issuing.idevidProfiles,
        mayIssue: standing.mayIssue,
        authorities,
        retryAfterMs: rotation.retryAfterMs,
      },
      deviceDesk: createDeviceDesk({ ...taking, ledger, crls }),
      secondApproval: config.recovery?.secondApproval ?? false,
      revoker: createRevoker({ ...taking, ledger, crls, ...(office && { elsewhere: office.revoke }) }),
      campaigns: createCampaignDesk({ ...taking, ledger, crls, profiles: issuing.profiles }),
      hygiene: createHygiene({
        ledger,
        limits: config.hygiene ?? DEFAULT_HYGIENE,
        keyLimits: config.keyPolicy,
        profiles: issuing.profiles,
        clock: systemClock,
      }),
      tail: statusTail,
      metrics,
      passphrase,
      office,
      version: programVersion(),
      close: () => {
        statusTail.close();
        clearInterval(timer);
        office?.close();
        ledger.close();
      },
    };
  } catch (error) {
    ledger.close();
    throw error;
  }
}
