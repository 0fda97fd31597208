/** Milliseconds since 1970-01-01T00:00:00Z. The only source of time is the clock that `wire.ts` hands in. */
export type Clock = () => number;

/** The operating system's clock. */
export const systemClock: Clock = () => Date.now();
