import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Page, PageRequest } from '../../core/unit-of-work.ts';

const MAX_PAGE = 1000;

/** Names the list in each cursor, so that one list's cursor is not taken for another's. */
type ListName =
  | 'audit'
  | 'incidents'
  | 'tokens'
  | 'certificates'
  | 'devices'
  | 'approvals'
  | 'campaigns'
  | 'findings';
type Key = string | number;

/** An opaque text that says where a page ended. */
export function encodeCursor(list: ListName, ...keys: readonly Key[]): string {
  return asBuffer(new TextEncoder().encode(JSON.stringify([list, ...keys]))).toString('base64url');
}

/**
 * Where the page begins, for a list that is ordered by a row's id; undefined for the first page.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parseIdCursor(list: ListName, page: PageRequest): number | undefined {
  const [id, ...rest] = parseCursor(list, page) ?? [undefined];
  if (rest.length === 0 && (id === undefined || (typeof id === 'number' && Number.isSafeInteger(id))))
    return id;
  throw badCursor();
}

/**
 * The same for a list that is ordered by two texts.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parsePairCursor(list: ListName, page: PageRequest): readonly [string, string] | undefined {
  const keys = parseCursor(list, page);
  if (keys === undefined) return undefined;
  const [first, second] = keys;
  if (keys.length === 2 && typeof first === 'string' && typeof second === 'string') return [first, second];
  throw badCursor();
}

/** Makes a page of rows of which one more than the limit was asked for: that one tells that there is a next page. */
export function toPage<Row, T>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => T,
  cursorOf: (last: Row) => string,
): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items: items.map(toItem), ...(rows.length > limit && last ? { cursor: cursorOf(last) } : {}) };
}

function parseCursor(list: ListName, { cursor, limit }: PageRequest): unknown[] | undefined {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new BirthmarkError('bad-request', `limit must be a whole number from 1 to ${MAX_PAGE}`, {
      field: 'limit',
    });
  }
  if (cursor === undefined) return undefined;
  const [name, ...keys] = parseArray(cursor);
  if (name !== list || keys.length === 0) throw badCursor();
  return keys;
}

function parseArray(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(value)) return value;
  } catch {
    // Said below, in the same words for all that is wrong with a cursor.
  }
  throw badCursor();
}

function badCursor(): BirthmarkError {
  return new BirthmarkError(
    'bad-request',
    'cursor must be one that this list gave; leave it out to begin anew',
    {
      field: 'cursor',
    },
  );
}
