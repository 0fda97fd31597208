import { uptime } from 'node:os';

/** Milliseconds since 1970-01-01T00:00:00Z. The only source of time is the clock that `wire.ts` hands in. */
export type Clock = () => number;

/** The operating system's clock. */
export const systemClock: Clock = () => Date.now();

/** Milliseconds that only ever grow, from any beginning: they say how long ago something was, never when it was. */
export type Monotonic = () => number;

/** The operating system's, as long as this process lives. */
export const systemMonotonic: Monotonic = () => performance.now();

/** For how long this machine is up, the time in which it slept included; to the second. */
export const systemUptime: Monotonic = () => uptime() * 1000;
