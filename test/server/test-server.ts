// The listeners' applications over a house in memory, asked by `inject`.
import pino from 'pino';
import { afterAll } from 'vitest';
import type { BlockDesk } from '../../src/broker-auth/guard/block-desk.ts';
import { createSteadyClock } from '../../src/core/steady-clock.ts';
import { createChallenges } from '../../src/enroll/challenge.ts';
import { createCompromiseDesk } from '../../src/enroll/compromise/compromise-desk.ts';
import { createConfirmationDesk } from '../../src/enroll/confirm.ts';
import { createDeviceDoor } from '../../src/enroll/device-door.ts';
import { DEFAULT_EST } from '../../src/enroll/est/settings.ts';
import { createIdentifier } from '../../src/enroll/identify.ts';
import { parseLabels } from '../../src/enroll/label.ts';
import { DEFAULT_LABELS, type LabelConfig } from '../../src/enroll/label-config.ts';
import type { Role, TokenRecord } from '../../src/enroll/ports.ts';
import { newSecret } from '../../src/enroll/secret.ts';
import { createCampaignDesk } from '../../src/fleet/campaign/desk.ts';
import { createHygiene } from '../../src/fleet/hygiene/hygiene.ts';
import { DEFAULT_HYGIENE } from '../../src/fleet/hygiene/settings.ts';
import { createQuarantineDesk } from '../../src/fleet/quarantine-desk.ts';
import { type ApiAppOptions, createLocalApi, createRemoteApi } from '../../src/server/api-app.ts';
import type { ListenerLimits } from '../../src/server/base-app.ts';
import { createMetrics } from '../../src/server/metrics.ts';
import { createPublicApp } from '../../src/server/public-app.ts';
import { STATUS_LIMITS, type StatusLimits } from '../../src/server/routes/status.ts';
import { createChangePages } from '../../src/server/status/change-pages.ts';
import { createStatusTail } from '../../src/server/status/status-tail.ts';
import { openResponding, type Responding } from '../ca/ocsp/responding.ts';
import { KEY_LIMITS, openTestHouse, type TestHouse, type TestHouseOptions } from '../house.ts';

export type App = Awaited<ReturnType<typeof createRemoteApi>>;

export interface Asked {
  readonly token?: string;
  readonly body?: object | string | Buffer;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly raw: Buffer;
  /** The body as JSON; undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: what a stranger reads has no type
  readonly json: any;
}

export interface TestServer extends AsyncDisposable {
  readonly house: TestHouse;
  readonly options: ApiAppOptions;
  readonly remote: App;
  readonly local: App;
  readonly publicApp: App;
  /** Every line that was logged. */
  readonly log: readonly string[];
  /** A token of that role; its text is the secret. */
  token(role: Role, limits?: Partial<TokenRecord>): Promise<string>;
  /** Gives it OCSP signers, which sign snapshots too. */
  signSnapshots(): Promise<void>;
  /** Asks the remote API, by paths below /api/v1. */
  ask(method: string, path: string, asked?: Asked): Promise<Answered>;
}

export interface TestServerOptions extends TestHouseOptions {
  readonly labels?: Readonly<Record<string, LabelConfig>>;
  readonly secondApproval?: boolean;
  /** What a proof of compromise does; true unless it is said. */
  readonly revokeAtOnce?: boolean;
  /** Of gates in the process. */
  readonly blocks?: BlockDesk;
  /** Bounds of the status feed that differ from the usual ones. */
  readonly status?: Partial<StatusLimits> & { readonly lookEveryMs?: number; readonly beatMs?: number };
}

export const LIMITS: ListenerLimits = {
  bodyOctets: 64 * 1024,
  bodyMs: 200,
  idleMs: 5000,
  ocspSignaturesPerSecond: 100,
};

const SNAPSHOT_VALID_MS = 3_600_000;

export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const house = await openTestHouse(options);
  const log: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void log.push(line) });
  const metrics = createMetrics('test');
  const { ledger, issuing, authorities, guardedClock: clock } = house;
  metrics.followCampaigns(ledger.read);
  const enroll = metrics.counting(house.enroll);
  const { lookEveryMs = 5, beatMs = 20, ...statusLimits } = options.status ?? {};
  const tail = createStatusTail({
    ledger: ledger.read,
    clock: house.clock.now,
    steady: createSteadyClock(house.clock.now, house.clock.now),
    onFault: (error) => logger.error({ err: error }, 'the status feed cannot see the ledger'),
    lookEveryMs,
    beatMs,
  });
  // Made when it is first needed: it issues certificates, which other tests count.
  let responding: Promise<Responding> | undefined;
  let signers: Responding | undefined;
  const compromise = createCompromiseDesk({
    ledger,
    revoker: house.revoker,
    keyLimits: KEY_LIMITS,
    clock: house.clock.now,
    secret: Buffer.alloc(32, 7),
    revokeAtOnce: options.revokeAtOnce ?? true,
    onReport: metrics.countReport,
  });
  const api: ApiAppOptions = {
    compromise,
    status: {
      tail,
      pages: createChangePages({ ledger: ledger.read, authorities, clock: house.clock.now }),
      snapshot: {
        ledger: ledger.read,
        authorities,
        look: () => house.roster.look(),
        current: house.roster.current,
        signerOf: (name) => signers?.signerOf(name),
        clock: house.clock.now,
        validMs: SNAPSHOT_VALID_MS,
      },
      limits: { ...STATUS_LIMITS, ...statusLimits },
    },
    devices: createDeviceDoor({
      ledger,
      enroll,
      identify: createIdentifier({ ledger, authorities, issuing }),
      uses: house.uses,
      clock,
    }),
    labels: parseLabels(options.labels ?? DEFAULT_LABELS, [...issuing.profiles.values()]),
    keyLimits: KEY_LIMITS,
    est: DEFAULT_EST,
    logger,
    limits: LIMITS,
    ledger: house.ledger,
    issuing: house.issuing,
    rollover: house.rollover,
    enroll,
    issueService: house.issueService,
    revoker: house.revoker,
    deviceDesk: house.deviceDesk,
    renewal: house.renewal,
    confirmations: createConfirmationDesk({
      ledger,
      uses: house.uses,
      idevidProfiles: issuing.idevidProfiles,
      keyLimits: KEY_LIMITS,
      challenges: createChallenges(Buffer.alloc(32, 8), house.clock.now, 'confirmation'),
      clock: house.clock.now,
    }),
    secondApproval: options.secondApproval ?? false,
    uses: house.uses,
    quarantine: createQuarantineDesk({ ...house, clock: house.clock.now }),
    ...(options.blocks && { blocks: options.blocks }),
    campaigns: createCampaignDesk({
      ledger,
      profiles: issuing.profiles,
      idevidProfiles: issuing.idevidProfiles,
      crls: house.crls,
      clock: house.clock.now,
      onUnpublished: (error) => logger.error({ err: error }, 'a list could not be published'),
    }),
    hygiene: createHygiene({
      ledger,
      limits: DEFAULT_HYGIENE,
      keyLimits: KEY_LIMITS,
      profiles: issuing.profiles,
      clock: house.clock.now,
    }),
    clock: house.guardedClock,
    wallClock: house.clock.now,
    random: house.random,
    metrics,
    proxies: [],
    version: '0.0.0',
  };
  const remote = await createRemoteApi({ ...api, tls: {} });
  const local = await createLocalApi(api);
  const publicApp = createPublicApp({
    logger,
    limits: LIMITS,
    authorities: house.authorities,
    crls: house.ledger.read,
    ocsp: house.ocsp,
    renewal: house.renewal,
    clock: house.clock.now,
  });
  let tokens = 0;
  return {
    house,
    options: api,
    remote,
    local,
    publicApp,
    log,
    token: async (role, limits = {}) => {
      tokens += 1;
      const { id, text, secretHash } = newSecret('bmk', house.random);
      const now = house.clock.now();
      const record: TokenRecord = {
        id,
        secretHash,
        name: `${role}-${tokens}`,
        role,
        createdAt: now,
        createdBy: 'test',
        expiresAt: now + 3_600_000,
        used: 0,
        ...limits,
      };
      await house.ledger.write((tx) => tx.addToken(record));
      return text;
    },
    signSnapshots: async () => {
      responding ??= openResponding(house);
      signers = await responding;
    },
    ask: (method, path, asked) => inject(remote, method, `/api/v1${path}`, asked),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([remote.close(), local.close(), publicApp.close()]);
      tail.close();
      signers?.[Symbol.dispose]();
      house[Symbol.dispose]();
    },
  };
}

/** A server for a whole file, where nothing that a test does hinders another one. */
export async function shareTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  afterAll(() => server[Symbol.asyncDispose]());
  return server;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

export async function inject(app: App, method: string, url: string, asked: Asked = {}): Promise<Answered> {
  const { token, body, type, headers = {} } = asked;
  const known = METHODS.find((one) => one === method);
  if (!known) throw new Error(`there is no method ${method}`);
  const sent = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(type === undefined ? {} : { 'content-type': type }),
    ...headers,
  };
  const {
    statusCode,
    headers: got,
    body: text,
    rawPayload,
  } = await app.inject({
    method: known,
    url,
    headers: sent,
    ...(body === undefined ? {} : { payload: body }),
  });
  return { status: statusCode, headers: got, text, raw: rawPayload, json: parseJson(text) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `CODE STATUS` of a problem document, which must be one; with `:FIELD` where it names one. */
export function problemOf({ status, headers, json, text }: Answered): string {
  const isProblem =
    String(headers['content-type']).startsWith('application/problem+json') && json?.status === status;
  if (!isProblem) throw new Error(`${status} is no problem document: ${text.slice(0, 200)}`);
  return `${json.code} ${status}${json.field === undefined ? '' : `:${json.field}`}`;
}
