/**
 * Joins the groups of a stream into larger ones as far as they are there: who asks gets at once what has arrived, at most
 * `most` items, and waits only where nothing has. Under load groups become full by themselves; a trickle is passed on
 * as it comes. Reads ahead by one group of `most`, no further.
 */
export async function* gather<T>(
  source: AsyncIterable<readonly T[]>,
  most: number,
): AsyncGenerator<readonly T[]> {
  const waiting: T[] = [];
  let ended = false;
  let failure: unknown;
  let wakeReader: (() => void) | undefined;
  let wakeTaker: (() => void) | undefined;

  const groups = source[Symbol.asyncIterator]();
  const reading = (async () => {
    try {
      for (let next = await groups.next(); !next.done && !ended; next = await groups.next()) {
        for (const item of next.value) waiting.push(item);
        wakeTaker?.();
        while (waiting.length >= most && !ended) {
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
      }
    } catch (error) {
      failure = error;
    }
    ended = true;
    wakeTaker?.();
  })();

  try {
    for (;;) {
      if (waiting.length === 0) {
        if (failure !== undefined) throw failure;
        if (ended) return;
        await new Promise<void>((resolve) => {
          wakeTaker = resolve;
        });
        continue;
      }
      const group = waiting.splice(0, most);
      wakeReader?.();
      yield group;
    }
  } finally {
    const early = !ended;
    ended = true;
    wakeReader?.();
    // Not awaited: a source that waits for its sender would keep the consumer from leaving.
    if (early) Promise.all([reading, groups.return?.()]).catch(() => undefined);
  }
}
