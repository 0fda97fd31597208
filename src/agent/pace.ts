import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../core/errors.ts';
import { schemaParser } from '../core/schema.ts';

const Time = Type.Number({ minimum: 0 });

const PaceSchema = Type.Object({
  /** In a row. */
  failures: Type.Integer({ minimum: 0 }),
  /** Those of them in a row in which a new credential was used, and nobody answered. */
  unheard: Type.Optional(Type.Integer({ minimum: 0 })),
  /** What went wrong the last time, for people. */
  problem: Type.Optional(Type.String()),
  /** Nothing is asked before it. */
  retryAt: Type.Optional(Time),
  /** When the present credential came. */
  renewedAt: Type.Optional(Time),
  /** When CA certificates were last fetched. */
  trustAt: Type.Optional(Time),
  /** When the window may be asked for again. */
  windowAt: Type.Optional(Time),
  /** The window, and of which credential it is. */
  window: Type.Optional(Type.Object({ of: Type.String(), start: Time, end: Time })),
});

/** What an agent remembers of when it did what, so that a restart is no reason to ask again. Milliseconds since the epoch. */
export type Pace = Static<typeof PaceSchema>;

const FRESH: Pace = { failures: 0 };
const parse = schemaParser(PaceSchema, 'config-invalid');

/** Anything that cannot be read is as good as nothing: it only spares work. */
export function readPace(text: string | undefined): Pace {
  if (text === undefined) return FRESH;
  try {
    return parse(JSON.parse(text), 'pace');
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof BirthmarkError) return FRESH;
    throw error;
  }
}

/** Longest wait that is ever written: a time that lies further ahead was written by a clock that was wrong. */
const MOST_AHEAD_MS = 2 * 86_400_000;

/** Whether a time that was written down is still to come. */
export function isAhead(time: number | undefined, now: number): time is number {
  return time !== undefined && time > now && time - now <= MOST_AHEAD_MS;
}
