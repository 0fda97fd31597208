import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';

/** Proofs of key compromise that are looked at: anybody may send some, and to verify a signature costs. */
export interface ReportLimits {
  /** Of one address, before anything is read. Throws `too-many-requests`. */
  readonly ofAddress: (request: FastifyRequest) => Promise<void>;
  /** Of all, before a signature is verified: what is no proof at all uses up nothing of it. Throws `too-many-requests`. */
  readonly ofAll: (request: FastifyRequest) => Promise<void>;
}

/** How many are looked at in a minute. */
interface ReportBounds {
  readonly what: string;
  readonly ofAddress: number;
  readonly ofAll: number;
}
const COMPROMISE_BOUNDS: ReportBounds = { what: 'proofs of key compromise', ofAddress: 10, ofAll: 120 };
/** Devices behind one gateway confirm together. */
export const CONFIRMATION_BOUNDS: ReportBounds = { what: 'confirmations', ofAddress: 600, ofAll: 6000 };
const TELL_EVERY_MS = 60_000;

const unlimited = () => Promise.resolve();
export const NO_REPORT_LIMITS: ReportLimits = { ofAddress: unlimited, ofAll: unlimited };

/** Counts by the rate limits that the app has; says in its log, once a minute, that the one of all is used up. */
export function createReportLimits(
  app: FastifyInstance,
  clock: Clock,
  { what, ofAddress, ofAll }: ReportBounds = COMPROMISE_BOUNDS,
): ReportLimits {
  const timeWindow = '1 minute';
  const countOfAddress = app.createRateLimit({ max: ofAddress, timeWindow });
  const countOfAll = app.createRateLimit({
    max: ofAll,
    timeWindow,
    keyGenerator: () => 'everybody',
  });
  let toldAt = Number.NEGATIVE_INFINITY;
  const isExceeded = async (count: typeof countOfAll, request: FastifyRequest) => {
    const limit = await count(request);
    return !limit.isAllowed && limit.isExceeded;
  };
  return {
    ofAddress: async (request) => {
      if (await isExceeded(countOfAddress, request)) throw tooMany('too many reports from this address');
    },
    ofAll: async (request) => {
      if (!(await isExceeded(countOfAll, request))) return;
      const now = clock();
      if (Math.abs(now - toldAt) >= TELL_EVERY_MS) {
        toldAt = now;
        app.log.warn(
          { aMinute: ofAll, what },
          'more come than are looked at: honest ones are told to wait too',
        );
      }
      throw tooMany('too many reports');
    },
  };
}

function tooMany(what: string): BirthmarkError {
  return new BirthmarkError('too-many-requests', `${what}; wait a minute`);
}
