/** A map by text that forgets what was put in first once it is full: for what can be found out again. */
export interface BoundedMap<Value> {
  get(key: string): Value | undefined;
  put(key: string, value: Value): void;
}

/** @param most how many values it holds, at least one */
export function createBoundedMap<Value>(most: number): BoundedMap<Value> {
  const values = new Map<string, Value>();
  return {
    get: (key) => values.get(key),
    put: (key, value) => {
      if (values.size >= most && !values.has(key)) {
        const [oldest = key] = values.keys();
        values.delete(oldest);
      }
      values.set(key, value);
    },
  };
}
