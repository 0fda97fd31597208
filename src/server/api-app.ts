import { type TlsOptions, Server as TlsServer } from 'node:tls';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import type { BlockDesk, GateBlock } from '../broker-auth/guard/block-desk.ts';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { RolloverRoom } from '../ca/rollover/room.ts';
import type { Actor } from '../core/audit.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { mountEnrollmentDoor } from '../enroll/api/routes.ts';
import type { CompromiseDesk } from '../enroll/compromise/compromise-desk.ts';
import type { ConfirmationDesk } from '../enroll/confirm.ts';
import type { DeviceDoor } from '../enroll/device-door.ts';
import type { Enroller } from '../enroll/enroller.ts';
import { mountEstDoor } from '../enroll/est/routes.ts';
import type { EstSettings } from '../enroll/est/settings.ts';
import type { KeyLimits } from '../enroll/examine.ts';
import { mountFactoryDoor } from '../enroll/factory/routes.ts';
import type { Labels } from '../enroll/label.ts';
import type { Ledger } from '../enroll/ports.ts';
import type { ServiceIssuer } from '../enroll/service-issuer.ts';
import type { CampaignDesk } from '../fleet/campaign/desk.ts';
import type { Hygiene } from '../fleet/hygiene/hygiene.ts';
import type { QuarantineDesk } from '../fleet/quarantine-desk.ts';
import type { DeviceDesk } from '../fleet/recovery/device-desk.ts';
import type { RenewalDesk } from '../fleet/renewal/renewal-desk.ts';
import type { Revoker } from '../fleet/revoker.ts';
import type { UseNoter } from '../fleet/rotation/note-use.ts';
import { createBaseApp, type ListenerLimits } from './base-app.ts';
import { type Authenticate, authenticateLocal, authenticateRemote, bearerOf } from './caller.ts';
import { type Metrics, mountMetrics } from './metrics.ts';
import { createPeerReader, type PeerReader, type TrustedProxy } from './peer.ts';
import { toProblem } from './problem.ts';
import { mountRenewalInfo } from './renewal-routes.ts';
import {
  CONFIRMATION_BOUNDS,
  createReportLimits,
  NO_REPORT_LIMITS,
  type ReportLimits,
} from './report-limits.ts';
import { mountAdmission } from './routes/admission.ts';
import { mountApprovals } from './routes/approvals.ts';
import { mountAudit } from './routes/audit.ts';
import { mountAuthorities } from './routes/authorities.ts';
import { mountBlocks } from './routes/blocks.ts';
import { mountCampaigns } from './routes/campaigns.ts';
import { mountCertificates } from './routes/certificates.ts';
import { mountConfirmations } from './routes/confirmations.ts';
import { mountDeviceActs } from './routes/device-acts.ts';
import { mountDevices } from './routes/devices.ts';
import { mountHygiene } from './routes/hygiene.ts';
import { mountKeyCompromise } from './routes/key-compromise.ts';
import { mountQuarantines } from './routes/quarantines.ts';
import { mountRevocations } from './routes/revocations.ts';
import { mountSightings } from './routes/sightings.ts';
import { mountStatus, type StatusDesk } from './routes/status.ts';
import { mountTokens } from './routes/tokens.ts';
import { mountTrust } from './routes/trust.ts';

export interface ApiAppOptions {
  readonly logger: FastifyBaseLogger;
  readonly limits: ListenerLimits;
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly rollover: RolloverRoom;
  readonly enroll: Enroller;
  readonly issueService: ServiceIssuer;
  readonly revoker: Revoker;
  /** For what gates see of devices. */
  readonly quarantine: QuarantineDesk;
  /** Where gates are in this process: whom they restrain. */
  readonly blocks?: BlockDesk;
  readonly deviceDesk: DeviceDesk;
  readonly confirmations: ConfirmationDesk;
  /** When certificates are to be renewed. */
  readonly renewal: RenewalDesk;
  /** Whether recovery tickets wait for a second person. */
  readonly secondApproval: boolean;
  /** How uses of certificates reach rotations. */
  readonly uses: UseNoter;
  readonly campaigns: CampaignDesk;
  readonly hygiene: Hygiene;
  readonly compromise: CompromiseDesk;
  /** What the status feed and the snapshot are made of. */
  readonly status: StatusDesk;
  readonly devices: DeviceDoor;
  readonly labels: Labels;
  readonly keyLimits: KeyLimits;
  readonly est: EstSettings;
  /** Guarded: for what is issued, made and written down. */
  readonly clock: Clock;
  /** Not guarded: people must get in, and lists out, when a clock that went back stops issuance. */
  readonly wallClock: Clock;
  readonly random: RandomBytes;
  readonly metrics: Metrics;
  /** Whose word is taken for a device's certificate. */
  readonly proxies: readonly TrustedProxy[];
  readonly version: string;
}

const PREFIX = '/api/v1';
/** The page is about this API: no bar to load others. */
const DOCS_THEME = {
  title: 'Birthmark API',
  css: [{ filename: 'birthmark.css', content: '.swagger-ui .topbar { display: none }' }],
};
/** Wrong credentials from one address before it is told to wait. Right ones are never slowed. */
const FAILED_SIGN_INS_A_MINUTE = 60;

/** A chain of certificates in a header is long, those with post-quantum keys most of all. */
const PROXIED_HEADER_OCTETS = 128 * 1024;

/** The API as everyone reaches it, over TLS. */
export async function createRemoteApi(
  options: ApiAppOptions & { readonly tls: TlsOptions },
): Promise<FastifyInstance> {
  const app = createBaseApp({
    ...options,
    ...(options.proxies.length > 0 && { headerOctets: PROXIED_HEADER_OCTETS }),
  });
  const peers = createPeerReader(options);
  // Before the request that came along is read.
  if (app.server instanceof TlsServer) app.server.prependListener('secureConnection', peers.meet);
  // Brought in here, because a supervisor has no remote API and need not hold them in memory.
  await app.register(import('@fastify/helmet'), { contentSecurityPolicy: false });
  await app.register(import('@fastify/rate-limit'), { global: false });
  await app.register(import('@fastify/swagger'), {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Birthmark',
        description: 'Device identity: enrollment, devices, certificates.',
        version: options.version,
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
      security: [{ bearer: [] }],
    },
  });
  const countFailure = app.createRateLimit({ max: FAILED_SIGN_INS_A_MINUTE, timeWindow: '1 minute' });
  const identify = authenticateRemote({
    ledger: options.ledger,
    clock: options.wallClock,
    stands: options.issuing.stands,
    shownBy: peers.shownBy,
  });
  const limitFailures: LimitFailures = async (request, check) => {
    try {
      return await check();
    } catch (error) {
      const limit = await countFailure(request);
      if (!limit.isAllowed && limit.isExceeded) {
        throw new BirthmarkError(
          'too-many-requests',
          'too many wrong credentials from this address; wait a minute',
        );
      }
      throw error;
    }
  };
  const reportLimits = createReportLimits(app, options.wallClock);
  const confirmationLimits = createReportLimits(app, options.wallClock, CONFIRMATION_BOUNDS);
  const authenticate: Authenticate = (request) => limitFailures(request, () => identify(request));
  await app.register(
    async (api) => {
      await api.register(import('@fastify/swagger-ui'), { routePrefix: '/docs', theme: DOCS_THEME });
      api.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
      mountRoutes(api, options, {
        authenticate,
        limitFailures,
        reportLimits,
        confirmationLimits,
        peerOf: peers.peerOf,
      });
    },
    { prefix: PREFIX },
  );
  mountEstDoor(app, { ...options, limitFailures, peerOf: peers.peerOf, tell: toProblem });
  mountMetrics(app, options.metrics, authenticate);
  return app;
}

/** The API as the home's owner reaches it on this machine: the same routes, no sign-in. Never given a TCP port. */
export async function createLocalApi(options: ApiAppOptions): Promise<FastifyInstance> {
  const app = createBaseApp(options);
  await app.register(
    (api, _, done) => {
      const { peerOf } = createPeerReader(options);
      mountRoutes(api, options, {
        authenticate: authenticateLocal,
        limitFailures: (_request, check) => check(),
        reportLimits: NO_REPORT_LIMITS,
        confirmationLimits: NO_REPORT_LIMITS,
        peerOf,
      });
      mountBlocks(api, {
        ...options,
        authenticate: authenticateLocal,
        onLift: (lifted, actor) => recordLifted(options, lifted, actor),
      });
      done();
    },
    { prefix: PREFIX },
  );
  return app;
}

/** Runs a check of a secret, and slows down an address that fails too often. */
type LimitFailures = <T>(request: FastifyRequest, check: () => Promise<T>) => Promise<T>;

interface Asking extends Pick<PeerReader, 'peerOf'> {
  readonly authenticate: Authenticate;
  readonly limitFailures: LimitFailures;
  readonly reportLimits: ReportLimits;
  readonly confirmationLimits: ReportLimits;
}

function mountRoutes(api: FastifyInstance, options: ApiAppOptions, asking: Asking): void {
  const routes = { ...options, ...asking, bearerOf };
  // In a scope of its own: no other address takes lines.
  api.register((scope, _, done) => {
    mountFactoryDoor(scope, routes);
    done();
  });
  api.register((scope, _, done) => {
    mountKeyCompromise(scope, routes);
    done();
  });
  mountEnrollmentDoor(api, routes);
  mountAdmission(api, routes);
  mountDevices(api, routes);
  mountDeviceActs(api, routes);
  mountConfirmations(api, routes);
  mountRenewalInfo(api, options.renewal);
  mountCertificates(api, routes);
  mountRevocations(api, routes);
  mountCampaigns(api, routes);
  mountHygiene(api, routes);
  mountStatus(api, routes);
  mountSightings(api, {
    ...routes,
    authorities: options.status.snapshot.authorities,
    idevidProfiles: options.issuing.idevidProfiles,
    clock: options.wallClock,
  });
  mountQuarantines(api, routes);
  mountTokens(api, routes);
  mountTrust(api, routes);
  mountAuthorities(api, routes);
  mountApprovals(api, routes);
  mountAudit(api, routes);
}

async function recordLifted(
  { ledger, wallClock }: ApiAppOptions,
  lifted: readonly GateBlock[],
  actor: Actor,
): Promise<void> {
  const at = wallClock();
  const records = lifted.map(({ who, rule, gate, count }) => ({
    ...{ at, actor, action: 'gate.lift-block', subject: who, outcome: 'done' },
    facts: { rule, gate, count },
  }));
  await ledger.write((tx) => tx.appendAudit(records));
}
