import { expect } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Page, PageRequest } from '../../src/core/unit-of-work.ts';

/** Follows the cursors to the end. */
export async function allPages<T, R extends PageRequest>(
  list: (page: R) => Promise<Page<T>>,
  request: R,
): Promise<T[]> {
  const items: T[] = [];
  let page = await list(request);
  items.push(...page.items);
  while (page.cursor !== undefined) {
    expect(page.items.length).toBeLessThanOrEqual(request.limit);
    page = await list({ ...request, cursor: page.cursor });
    items.push(...page.items);
  }
  return items;
}

/** What an error of this code looks like. */
export function coded(code: ErrorCode): object {
  return expect.objectContaining({ name: 'BirthmarkError', code });
}
