import type { Readiness } from '../../broker-auth/http.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';

export interface StatusFacts {
  /** Whether the one who tells statuses is heard. */
  readonly connected: boolean;
  /** Of what is known; undefined where nothing is. */
  readonly ageMs: number | undefined;
}

/** Ready where no listener has to deny for what is not known. */
export function readiness(
  { listeners }: GatePolicy,
  { connected, ageMs }: StatusFacts,
): ReturnType<Readiness> {
  const asked = [...listeners.values()].filter(({ status }) => status === 'hard');
  const strictest = Math.min(...asked.map(({ maxStatusAgeMs }) => maxStatusAgeMs));
  const facts = {
    connected,
    ...(Number.isFinite(ageMs) && { statusAgeSeconds: Math.round((ageMs ?? 0) / 1000) }),
  };
  if (asked.length === 0) return facts;
  if (ageMs === undefined) return { ...facts, fault: 'nothing is known of statuses yet' };
  if (ageMs === Number.POSITIVE_INFINITY)
    return {
      ...facts,
      fault:
        'the clock stands before what it said earlier: set it right, or wait until the authority is heard',
    };
  if (ageMs > strictest) return { ...facts, fault: 'what is known of statuses is too old' };
  return facts;
}

/** What its parts say beside it: each has a `fault` of its own where it is not as it should be. */
export function withParts(
  whole: ReturnType<Readiness>,
  parts: Readonly<Record<string, { readonly fault?: string }>>,
): ReturnType<Readiness> {
  const fault = whole.fault ?? Object.values(parts).find((part) => part.fault !== undefined)?.fault;
  return { ...whole, ...parts, ...(fault !== undefined && { fault }) };
}
