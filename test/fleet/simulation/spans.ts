/** From a time up to, and without, another; milliseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

export function isWithin(at: number, spans: readonly Span[]): boolean {
  return spans.some(({ from, until }) => from <= at && at < until);
}

/** Whether these spans leave no gap between two times. */
export function isCovered(from: number, until: number, spans: readonly Span[]): boolean {
  let covered = from;
  for (const span of spans.toSorted((a, b) => a.from - b.from))
    if (span.from <= covered) covered = Math.max(covered, span.until);
  return covered >= until;
}
