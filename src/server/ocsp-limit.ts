import type { AnswerUse } from '../ca/ocsp/sign-answer.ts';
import type { Clock } from '../core/clock.ts';
import { createSourceLimit } from './source-limit.ts';

/** Whether a source may have another answer signed now; counts it where it may. */
export type OcspLimit = (address: string | undefined, use: AnswerUse) => boolean;

/**
 * What is of use to others too may be asked for so many times as often: it is signed once in hours, but who goes through
 * all serial numbers of a list must not take every core, and drive out what the others ask for.
 */
const SHARED_TIMES = 10;

/** @param perSecond answers that are of use to nobody else; 0 for no limit */
export function createOcspLimit(perSecond: number, clock: Clock): OcspLimit {
  const limits = {
    alone: createSourceLimit(perSecond, clock),
    shared: createSourceLimit(SHARED_TIMES * perSecond, clock),
  };
  return (address, use) => limits[use](address);
}
