/** What is to happen, by time: a binary heap. */
export interface Agenda<T> {
  add(at: number, item: T): void;
  /** When the next one is due. */
  readonly next: number | undefined;
  /** Takes all that is due by then, in order. */
  takeUntil(at: number): T[];
}

interface Entry<T> {
  readonly at: number;
  /** What was added first comes first. */
  readonly order: number;
  readonly item: T;
}

export function createAgenda<T>(): Agenda<T> {
  const heap: Entry<T>[] = [];
  let added = 0;

  const before = (a: Entry<T>, b: Entry<T>) => a.at < b.at || (a.at === b.at && a.order < b.order);
  const swap = (a: number, b: number) => {
    const [first, second] = [heap[a], heap[b]];
    if (first && second) [heap[a], heap[b]] = [second, first];
  };
  const precedes = (a: number, b: number) => {
    const [first, second] = [heap[a], heap[b]];
    return first !== undefined && second !== undefined && before(first, second);
  };

  function take(): Entry<T> | undefined {
    const [top] = heap;
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (precedes(left, least)) least = left;
      if (precedes(right, least)) least = right;
      if (least === at) return top;
      swap(at, least);
      at = least;
    }
  }

  return {
    get next() {
      return heap[0]?.at;
    },
    add(at, item) {
      // Whole milliseconds, as clocks tell them.
      heap.push({ at: Math.round(at), order: added, item });
      added += 1;
      for (let child = heap.length - 1; child > 0; ) {
        const parent = (child - 1) >> 1;
        if (!precedes(child, parent)) return;
        swap(child, parent);
        child = parent;
      }
    },
    takeUntil(until) {
      const due: T[] = [];
      while ((heap[0]?.at ?? Number.POSITIVE_INFINITY) <= until) {
        const entry = take();
        if (entry) due.push(entry.item);
      }
      return due;
    },
  };
}
