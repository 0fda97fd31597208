import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { joinNumbers, type Numbers, readNumbers } from '../broker-auth/join-metrics.ts';
import { newOcspTally, type OcspTally } from '../ca/ocsp/sign-answer.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Enroller } from '../enroll/enroller.ts';
import type { CampaignReads } from '../fleet/campaign/ports.ts';
import { type Authenticate, assertRole } from './caller.ts';

const UNDER_WAY = ['planned', 'running', 'paused', 'ending'] as const;

export interface Metrics {
  readonly registry: Registry;
  /** What the ledger says: it is the same whichever process is asked, and told once. */
  readonly house: Registry;
  /** Those of gates in this process. */
  readonly gates: Set<Registry>;
  /** The same enroller, with its answers counted. */
  counting(enroll: Enroller): Enroller;
  /** Counts a report of key compromise. */
  countReport(outcome: string): void;
  /** Tells of campaigns that are not over, when it is asked. */
  followCampaigns(reads: Pick<CampaignReads, 'findCampaignsIn' | 'tallyCampaign'>): void;
  /** Observes a request, in seconds. */
  observe(route: string, status: number, seconds: number): void;
  /** What was counted in this process. */
  own(): Promise<readonly Numbers[]>;
  /** From now on what other processes of the house counted is told as well. */
  joinOthers(others: () => Promise<readonly Numbers[]>): void;
  /** All of it in the Prometheus text format. */
  text(): Promise<string>;
  /** The OCSP responder counts in here: an answer takes less time than a counter of the library. */
  readonly ocsp: OcspTally;
}

/** @param worker which process of the house this is: each counts what it does */
export function createMetrics(worker: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ worker });
  collectDefaultMetrics({ register: registry });
  const enrollments = new Counter({
    name: 'birthmark_enrollments_total',
    help: 'Answers to enrollment requests, by outcome (issued, or the code of the refusal).',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const reports = new Counter({
    name: 'birthmark_key_compromise_reports_total',
    help: 'Proofs of key compromise, by what came of them (unknown, revoked, known-already, incident, refused).',
    labelNames: ['outcome'],
    registers: [registry],
  });
  const requests = new Histogram({
    name: 'birthmark_http_request_seconds',
    help: 'Time to answer HTTP requests, by route and status.',
    labelNames: ['route', 'status'],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers: [registry],
  });
  const ocsp = newOcspTally();
  new Counter({
    name: 'birthmark_ocsp_certids_total',
    help: 'CertIDs of our authorities in OCSP requests, by hash: SHA-1 can go when nobody asks by it.',
    labelNames: ['hash'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [hash, count] of Object.entries(ocsp.certIds)) this.inc({ hash }, count);
    },
  });
  new Counter({
    name: 'birthmark_ocsp_answers_total',
    help: 'OCSP answers: kept already, signed for one request, or tryLater since one source asks for too many signatures.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const outcome of ['kept', 'signed', 'limited'] as const) this.inc({ outcome }, ocsp[outcome]);
    },
  });
  const house = new Registry();
  const gates = new Set<Registry>();
  const own = () => readNumbers([registry, ...gates]);
  let others = async (): Promise<readonly Numbers[]> => [];
  return {
    registry,
    house,
    gates,
    ocsp,
    own,
    joinOthers: (from) => {
      others = from;
    },
    text: async () => {
      const all = await Promise.all([readNumbers([house]), own(), others()]);
      return joinNumbers(all.flat());
    },
    counting: (enroll) => async (requests, admission) => {
      const outcomes = await enroll(requests, admission);
      const refused = outcomes.filter((outcome) => outcome instanceof BirthmarkError);
      for (const { code } of refused) enrollments.inc({ outcome: code });
      enrollments.inc({ outcome: 'issued' }, outcomes.length - refused.length);
      return outcomes;
    },
    countReport: (outcome) => reports.inc({ outcome }),
    followCampaigns: (reads) => followCampaigns(house, reads),
    observe: (route, status, seconds) => requests.observe({ route, status: String(status) }, seconds),
  };
}

/** `/metrics` in the Prometheus text format, and the timing of every request of the app. */
export function mountMetrics(app: FastifyInstance, metrics: Metrics, authenticate: Authenticate): void {
  app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
    assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
    return reply.type(metrics.registry.contentType).send(await metrics.text());
  });
  app.addHook('onResponse', (request, reply, done) => {
    metrics.observe(request.routeOptions.url ?? 'unknown', reply.statusCode, reply.elapsedTime / 1000);
    done();
  });
}

function followCampaigns(
  registry: Registry,
  reads: Pick<CampaignReads, 'findCampaignsIn' | 'tallyCampaign'>,
): void {
  new Gauge({
    name: 'birthmark_campaign_members',
    help: 'Members of campaigns that are not over, by campaign, the state of the campaign and of the members.',
    labelNames: ['campaign', 'campaign_state', 'state'],
    registers: [registry],
    async collect() {
      this.reset();
      for (const { id, name, state: campaign_state } of await reads.findCampaignsIn(UNDER_WAY))
        for (const { state, members } of await reads.tallyCampaign(id))
          this.inc({ campaign: name, campaign_state, state }, members);
    },
  });
}
