/** Signatures in one turn of the event loop: a millisecond at most, so that other doors do not wait. */
const AT_ONCE = 16;

/** Who waits for a turn. There is one event loop a process, so there is one queue. */
const waiting: (() => void)[] = [];

/**
 * Resolves when what has arrived already was looked at, for some at a time. Answers that are kept go out before signatures
 * are made, and the answers of one turn are written one right after the other.
 */
export function signingTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(grantTurn);
  });
}

function grantTurn(): void {
  for (const resolve of waiting.splice(0, AT_ONCE)) resolve();
  if (waiting.length > 0) setImmediate(grantTurn);
}
