import { stringify } from 'smol-toml';
import type { TSchema } from 'typebox';
import { type Config, ConfigSchema } from './schema.ts';

const WIDTH = 100;

/** birthmark.toml with a comment over each key, out of the schema that validates it. */
export function renderConfig(config: Config): string {
  const head = [
    "# Birthmark's configuration. Every key is explained over it; a key that is not known here is refused.",
    '# Changes take effect at the next start of `birthmark serve`.',
    '',
  ];
  return [...head, ...renderTable([], ConfigSchema, config)].join('\n');
}

/** A table with a comment over each key, as its schema explains it. */
export function renderTable(path: readonly string[], schema: TSchema, table: object): string[] {
  const values: string[] = [];
  const tables: string[] = [];
  for (const [key, value] of Object.entries(table)) {
    const member = memberSchema(schema, key);
    if (isTable(value)) {
      const inner = [...path, key];
      const hasValues = Object.values(value).some((one) => !isTable(one));
      tables.push(
        '',
        ...comment(member),
        ...(hasValues ? [`[${inner.join('.')}]`] : []),
        ...renderTable(inner, member, value),
      );
    } else if (Array.isArray(value) && value.some(isTable)) {
      tables.push(...renderList([...path, key], member, value));
    } else values.push(...comment(member), stringify({ [key]: value }).trimEnd());
  }
  for (const [key, member] of leftOut(schema, table)) {
    const [example] = member.examples;
    const lines = stringify({ [key]: example })
      .trimEnd()
      .split('\n');
    const written = [...comment(member), ...lines.map((line) => `#${line}`)];
    // A table goes where tables go, since what follows it would be its own.
    if (isTable(example) || (Array.isArray(example) && example.some(isTable))) tables.push('', ...written);
    else values.push(...written);
  }
  return [...values, ...tables];
}

/** A list of tables; their keys are explained over the first. */
function renderList(path: readonly string[], schema: TSchema, list: readonly unknown[]): string[] {
  const item = 'items' in schema && isTable(schema.items) ? schema.items : {};
  return list.flatMap((one, at) => [
    '',
    ...(at === 0 ? comment(schema) : []),
    `[[${path.join('.')}]]`,
    ...renderTable(path, at === 0 ? item : {}, isTable(one) ? one : {}),
  ]);
}

/** What may be there and is not: written as a comment, for whoever wants it. */
function leftOut(
  schema: TSchema,
  table: object,
): (readonly [string, TSchema & { examples: readonly unknown[] }])[] {
  if (!('properties' in schema && isTable(schema.properties))) return [];
  return Object.entries(schema.properties).flatMap(([key, member]) =>
    !(key in table) && isTable(member) && 'examples' in member && Array.isArray(member.examples)
      ? [[key, { ...member, examples: member.examples }] as const]
      : [],
  );
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schema of a member: of an object by its name, of a record the one that all members share. */
function memberSchema(schema: TSchema, key: string): TSchema {
  if ('properties' in schema && isTable(schema.properties)) {
    const member = new Map<string, unknown>(Object.entries(schema.properties)).get(key);
    if (isTable(member)) return member;
  }
  if ('patternProperties' in schema && isTable(schema.patternProperties)) {
    const [shared] = Object.values(schema.patternProperties);
    if (isTable(shared)) return shared;
  }
  return {};
}

function comment(schema: TSchema): string[] {
  const text = 'description' in schema && typeof schema.description === 'string' ? schema.description : '';
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ').filter(Boolean)) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return text === '' ? [] : [...lines, line];
}
