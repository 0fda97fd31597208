/** A gate that is in other hands must not take the fleet off the air: its word shuts so many devices out within an hour, and no more. */
export const MOST_SHUT_OUT = 50;
export const SHUT_OUT_WITHIN_MS = 3_600_000;

/** For people: that a gate's word has shut out as many as it may. */
export function gateLimitIncident(gate: string, at: number) {
  return { at, kind: 'gate-quarantines', subject: gate, facts: { within: '1h', most: MOST_SHUT_OUT } };
}
