import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { type Authorities, assembleAuthorities } from '../ca/authority.ts';
import type { CrlRoom } from '../ca/crl/room.ts';
import { guardClock } from '../ca/guarded-clock.ts';
import { createIssuingRoom, type IssuingRoom } from '../ca/issuing-room.ts';
import type { AuthorityRecord } from '../ca/ports.ts';
import { publishedUrls } from '../ca/published-urls.ts';
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
import { createColdSigner, createFileSigner, readKeyFile } from '../keys/file-signer.ts';
import { type PassphraseSource, readPassphrase } from '../keys/passphrase.ts';
import { createMetrics, type Metrics } from '../server/metrics.ts';
import { watchRotations } from '../server/rotation-metrics.ts';
import { createStatusTail, type StatusTail } from '../server/status/status-tail.ts';
import { openLedger, type SqliteLedger } from '../store/sqlite/open-ledger.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { DEFAULT_COALESCE_SECONDS, DEFAULT_IDP } from './config/default-config.ts';
import type { LoadedConfig } from './config/load-config.ts';
import type { Home } from './home.ts';
import { ledgerPlace } from './ledger-place.ts';
import { createLogger } from './logger.ts';
import { programVersion } from './program-version.ts';

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
  readonly version: string;
  close(): void;
}

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
/** How long an authority may go on issuing once its own certificate is revoked. */
const STANDING_EVERY_MS = SECOND_MS;

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
 * @param worker names this process in metrics
 * @throws BirthmarkError `home-missing` (no hierarchy in it), or as the parts do
 */
export async function openHouse(
  home: Home,
  loaded: LoadedConfig,
  environment: NodeJS.ProcessEnv,
  worker = '0',
): Promise<House> {
  const { config, profiles } = loaded;
  let tail: StatusTail | undefined;
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
    const records = await ledger.read.listAuthorities();
    if (records.length === 0) {
      throw new BirthmarkError(
        'home-missing',
        `the home in ${home.path} has no authorities yet; birthmark init makes them`,
      );
    }
    const passphrase = readPassphrase(passphraseSource(home, loaded, environment));
    const authorities = assembleAuthorities(records, (record) => openSigner(home, record, passphrase));
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
      mayIssue: standing.mayIssue,
    });
    const {
      shards,
      validityHours,
      coalesceSeconds = DEFAULT_COALESCE_SECONDS,
      idp = DEFAULT_IDP,
    } = config.crl;
    const crls: CrlRoom = {
      ledger,
      authorities,
      urls,
      policy: { shards, validityMs: validityHours * HOUR_MS, coalesceMs: coalesceSeconds * SECOND_MS, idp },
    };
    const shared = { ledger, issuing, keyLimits: config.keyPolicy, clock };
    const taking = {
      idevidProfiles: issuing.idevidProfiles,
      clock: systemClock,
      onUnpublished: (error: unknown) =>
        logger.error(
          { err: error },
          'a revocation is in the ledger and not in its CRL yet; it is tried again',
        ),
    };
    const metrics = createMetrics(worker);
    const rotation = parseRotation(config.rotation ?? DEFAULT_ROTATION);
    const uses = createUseNoter({ policy: rotation, idevidProfiles: issuing.idevidProfiles });
    const countRetired = watchRotations(metrics.registry, ledger.read);
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
    const timer = setInterval(() => {
      standing
        .look()
        .catch((error: unknown) => logger.error({ err: error }, 'the ledger could not be asked'));
    }, STANDING_EVERY_MS).unref();
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
      revoker: createRevoker({ ...taking, ledger, crls }),
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
      version: programVersion(),
      close: () => {
        statusTail.close();
        clearInterval(timer);
        ledger.close();
      },
    };
  } catch (error) {
    ledger.close();
    throw error;
  }
}

/** A root signs a list every few days and hardly anything else: its key stays on disk until then. */
function openSigner(home: Home, record: AuthorityRecord, passphrase: string) {
  const read = () => readKeyFile(home.key(record.name), passphrase);
  if (record.issuer === record.name)
    return createColdSigner(parseCertificate(record.certificate).tbs.spki, read);
  return createFileSigner(read());
}
