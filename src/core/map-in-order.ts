/**
 * Works on the items of a stream, `limit` at a time, and yields the results in the items' order, each as soon as it and
 * all before it are there: a sender that waits for an answer before it sends more gets it.
 *
 * A failed item ends the stream with its error. When the consumer stops, the source is closed.
 */
export async function* mapInOrder<T, R>(
  source: AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const items = source[Symbol.asyncIterator]();
  const underWay: Promise<R>[] = [];
  let arriving: Promise<IteratorResult<T>> | undefined;
  let ended = false;
  try {
    for (;;) {
      if (!ended && underWay.length < limit) arriving ??= awaitedLater(items.next());
      const [first] = underWay;
      if (first === undefined && arriving === undefined) return;
      const happened = await Promise.race([
        ...(first === undefined ? [] : [first.then((result) => ({ result }))]),
        ...(arriving === undefined ? [] : [arriving.then((item) => ({ item }))]),
      ]);
      if ('result' in happened) {
        underWay.shift();
        yield happened.result;
        continue;
      }
      arriving = undefined;
      if (happened.item.done) {
        ended = true;
        continue;
      }
      underWay.push(awaitedLater(work(happened.item.value)));
    }
  } finally {
    // Not awaited: a source that waits for its sender would keep an error from being told.
    if (!ended) void awaitedLater(Promise.resolve(items.return?.()));
  }
}

/** Its failure is seen when it is awaited in its turn; until then it must not count as unhandled. */
function awaitedLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
