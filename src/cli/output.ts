import Type from 'typebox';
import { schemaParser } from '../core/schema.ts';
import type { CallApi } from './api-client.ts';
import type { Shell } from './command.ts';

const parsePage = schemaParser(
  Type.Object({ items: Type.Array(Type.Unknown()), cursor: Type.Optional(Type.String()) }),
  'internal',
);
const PAGE = 1000;

/** Follows a list's cursors until its end, or until `most` items are there. */
export async function listAll(
  call: CallApi,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  most: number,
): Promise<unknown[]> {
  const items: unknown[] = [];
  let cursor: string | undefined;
  do {
    const search = new URLSearchParams({ limit: String(Math.min(PAGE, most - items.length)) });
    for (const [name, value] of Object.entries({ ...query, cursor }))
      if (value !== undefined) search.set(name, value);
    const page = parsePage(await call('GET', `${path}?${search}`), '');
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined && items.length < most);
  return items;
}

/** Columns as wide as their widest cell. */
export function printTable(
  shell: Shell,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  for (const row of [head, ...rows])
    shell.out(
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}
