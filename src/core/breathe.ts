/** Lets everything else that is ready run before it resolves: long work on many items does this every few milliseconds. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
