const WHOLE_NUMBER = /^(?:0|[1-9][0-9]{0,14})$/;

/**
 * The values of a URL's query or path with those that the schema wants as integers turned into numbers. Text that is no
 * whole number stays text, so that the schema refuses it: `1.5` must not become 1.
 *
 * @param schema of an object
 */
export function readUrlNumbers(schema: object, values: unknown): unknown {
  if (typeof values !== 'object' || values === null) return values;
  const wanted = 'properties' in schema ? schema.properties : undefined;
  if (typeof wanted !== 'object' || wanted === null) return values;
  const types = new Map<string, unknown>(Object.entries(wanted));
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      isInteger(types.get(name)) && typeof value === 'string' && WHOLE_NUMBER.test(value)
        ? Number(value)
        : value,
    ]),
  );
}

function isInteger(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'integer';
}
