import type { CampaignPlan } from './plan.ts';
import type { Follower } from './ports.ts';

const SECOND_MS = 1000;
/** The engine looks so often whether a gate may open; measured reactions have it in them. */
const TICK_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
/** Waves whose sizes differ by less than a tenth are alike. */
const ALIKE = Math.log(1.1);
/** Issuances in a row that a rate is told from, and the fewest that tell one. */
const WINDOW = 250;

/** What is known of this house's pace. */
export interface Pace {
  /** Certificates a second that were issued when there was much to do; undefined: never so many at once. */
  readonly renewalsPerSecond?: number;
  /** From a call until a member has followed, without what it waited behind others; undefined: no campaign has told. */
  readonly reactionMs?: number;
  /** Of the last campaign. */
  readonly waves?: readonly PastWave[];
}

/** A wave that was called at once. */
export interface PastWave {
  /** Members that followed. */
  readonly size: number;
  /** From its first call until as many had followed as are waited for. */
  readonly ms: number;
}

export interface Prediction {
  readonly waves: number;
  /** What calling takes, by size and rate of the waves. */
  readonly callingMs: number;
  /** What issuing takes at the measured pace, where that is more; of waves like a past one, what is beyond that one's size. */
  readonly issuingMs: number;
  /** From the last call of each wave until its members have followed; of waves like a past one, all that it took. */
  readonly reactingMs: number;
  readonly totalMs: number;
  readonly pace: Pace;
}

/** Works out how long a campaign takes when every member follows, pauses left out. Pure. */
export function predict(members: number, plan: CampaignPlan, pace: Pace): Prediction {
  const { ratePerMinute, deadlineSeconds } = plan;
  const perMs = (pace.renewalsPerSecond ?? Number.POSITIVE_INFINITY) / SECOND_MS;
  let [waves, callingMs, issuingMs, reactingMs] = [0, 0, 0, 0];
  for (let left = members; left > 0; ) {
    const size = Math.min(left, sizeOfWave(plan, waves + 1, left));
    const calling = ratePerMinute === 0 ? 0 : ((size - 1) * MINUTE_MS) / ratePerMinute;
    callingMs += calling;
    // Without a gate the next wave follows at once; the last one is always waited for.
    const isWaitedFor = plan.gatePercent > 0 || left === size;
    const past = isWaitedFor && ratePerMinute === 0 ? waveLike(size, pace.waves ?? []) : undefined;
    issuingMs += Math.max(0, (size - (past?.size ?? 0)) / perMs - calling);
    if (isWaitedFor) reactingMs += past?.ms ?? pace.reactionMs ?? TICK_MS;
    waves += 1;
    left -= size;
  }
  const untilDeadline = deadlineSeconds === 0 ? Number.POSITIVE_INFINITY : deadlineSeconds * SECOND_MS;
  const totalMs = Math.min(untilDeadline, callingMs + issuingMs + reactingMs);
  return { waves, callingMs, issuingMs, reactingMs, totalMs, pace };
}

/** How many members a wave calls, if there are so many left. */
export function sizeOfWave(
  { waveSize, firstWave }: Pick<CampaignPlan, 'waveSize' | 'firstWave'>,
  wave: number,
  left: number,
): number {
  const size = wave === 1 && firstWave > 0 ? firstWave : waveSize;
  return size === 0 ? left : size;
}

/**
 * The pace at which a house issues when there is much to do: the median rate of those stretches of consecutive issuances that
 * reached at least half of the best one's. Idle times in between count for nothing.
 *
 * @param times when certificates were reserved, newest first, milliseconds since the epoch
 */
export function measuredPace(times: readonly number[]): number | undefined {
  const rates: number[] = [];
  for (let at = 0; at + WINDOW < times.length; at += WINDOW) {
    const [newest = 0, oldest = 0] = [times[at], times[at + WINDOW]];
    rates.push((WINDOW * SECOND_MS) / Math.max(1, newest - oldest));
  }
  const best = Math.max(...rates);
  const busy = rates.filter((rate) => rate >= best / 2).sort((a, b) => a - b);
  return busy[busy.length >> 1];
}

/**
 * The waves of a campaign that were called at once, as long as it took until so many had followed: with all that a house does
 * for each, its queue, and the looks of the engine.
 *
 * @param percent how many of a wave are waited for
 */
export function pastWaves(followers: readonly Follower[], percent: number): readonly PastWave[] {
  return [...Map.groupBy(followers, (one) => one.wave).values()].flatMap((wave) => {
    const calls = wave.map(({ calledAt }) => calledAt).sort((a, b) => a - b);
    const ends = wave.map(({ endedAt }) => endedAt).sort((a, b) => a - b);
    const [first = 0, last = 0] = [calls[0], calls.at(-1)];
    const ms = (ends[Math.ceil((ends.length * percent) / 100) - 1] ?? last) - first;
    return last - first > ms / 2 ? [] : [{ size: wave.length, ms }];
  });
}

/**
 * How long devices take to follow by themselves: of a wave that was called at once the last ones also wait until those before
 * them are served, which the pace accounts for.
 *
 * @param percent how many of them are waited for
 * @returns milliseconds; undefined where nobody followed
 */
export function measuredReaction(
  followers: readonly Follower[],
  percent: number,
  renewalsPerSecond = Number.POSITIVE_INFINITY,
): number | undefined {
  const reactions: number[] = [];
  for (const wave of Map.groupBy(followers, (one) => one.wave).values()) {
    const firstCall = wave.reduce(
      (first, { calledAt }) => Math.min(first, calledAt),
      Number.POSITIVE_INFINITY,
    );
    for (const [before, { calledAt, endedAt }] of wave.toSorted((a, b) => a.endedAt - b.endedAt).entries()) {
      const servedAt = firstCall + (before * SECOND_MS) / renewalsPerSecond;
      reactions.push(endedAt - Math.max(calledAt, Math.min(servedAt, endedAt)));
    }
  }
  reactions.sort((a, b) => a - b);
  return reactions[Math.floor((reactions.length * percent) / 100)];
}

/** The past wave that is most like one of that size; of several the one in the middle. */
function waveLike(size: number, waves: readonly PastWave[]): PastWave | undefined {
  const unlikeness = (wave: PastWave) => Math.abs(Math.log(wave.size / size));
  const least = Math.min(...waves.map(unlikeness));
  const like = waves.filter((wave) => unlikeness(wave) <= least + ALIKE).sort((a, b) => a.ms - b.ms);
  return like[like.length >> 1];
}
