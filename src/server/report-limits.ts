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

const OF_ADDRESS_A_MINUTE = 10;
const OF_ALL_A_MINUTE = 120;
const TELL_EVERY_MS = 60_000;

const unlimited = () => Promise.resolve();
export const NO_REPORT_LIMITS: ReportLimits = { ofAddress: unlimited, ofAll: unlimited };

/** Counts by the rate limits that the app has; says in its log, once a minute, that the one of all is used up. */
export function createReportLimits(app: FastifyInstance, clock: Clock): ReportLimits {
  const timeWindow = '1 minute';
  const countOfAddress = app.createRateLimit({ max: OF_ADDRESS_A_MINUTE, timeWindow });
  const countOfAll = app.createRateLimit({
    max: OF_ALL_A_MINUTE,
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
          { aMinute: OF_ALL_A_MINUTE },
          'more proofs of key compromise come than are looked at: honest ones are told to wait too',
        );
      }
      throw tooMany('too many reports');
    },
  };
}

function tooMany(what: string): BirthmarkError {
  return new BirthmarkError('too-many-requests', `${what}; wait a minute`);
}
