/** Who waits for a turn of the event loop. There is one loop a process, so there is one queue. */
const waiting: (() => void)[] = [];

/**
 * Lets everything else that is ready run before it resolves: long work on many items does this every few milliseconds. However
 * many such works there are, one of them goes on in a turn of the event loop: a single request waits for one slice, not for
 * one of each.
 */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(grantTurn);
  });
}

function grantTurn(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(grantTurn);
}
