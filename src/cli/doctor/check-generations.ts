import type { AuthorityRecord } from '../../ca/ports.ts';
import { type Check, dateOf, warning } from './check.ts';

const DAY_MS = 86_400_000;
/** A generation waits a day until all know it, and may wait for a change window; after so long it was forgotten. */
const FORGOTTEN_DAYS = 30;

/** Generations that were prepared, and that nobody activated since or gave up. */
export function checkGenerations(authorities: readonly AuthorityRecord[], now: number): readonly Check[] {
  return authorities
    .filter(({ state, createdAt }) => state === 'prepared' && now - createdAt > FORGOTTEN_DAYS * DAY_MS)
    .map(({ name, family, createdAt }) =>
      warning(
        `generation ${name}`,
        `was prepared on ${dateOf(createdAt)} and issues nothing yet`,
        `birthmark authority activate ${family}, or give it up: birthmark authority retire ${name}`,
      ),
    );
}
