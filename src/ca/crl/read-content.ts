import { breathe } from '../../core/breathe.ts';
import { type CrlEntries, createCrlEntries } from '../../x509/crl-entries.ts';
import type { CrlReasonName } from '../../x509/crl-reason.ts';
import type { CrlBase, CrlMoment, ListedRow } from './ports.ts';
import { FULL } from './scope.ts';

/** What a list has to say. */
export interface ListContent {
  readonly entries: CrlEntries;
  /** Rows of the certificates that no list had before. */
  readonly firstListed: readonly number[];
}

/** Rows read and encoded between two breaths of the event loop: a few milliseconds. */
const SLICE = 1000;

/** Everything that is in the scope of a full list or a shard. */
export async function readWholeContent(
  moment: CrlMoment,
  authority: string,
  scope: string,
  endedBefore: number,
): Promise<ListContent> {
  const shard = scope === FULL ? undefined : Number(scope);
  const content = newContent(moment.countEntries(authority, shard));
  const search = { authority, endedBefore, limit: SLICE, ...(shard !== undefined && { shard }) };
  await eachSlice(
    (after) => moment.listEntries({ ...search, after }),
    (row) => content.add(row),
  );
  return content;
}

/** As a `ListedRow`, which knows nothing of what left. */
type Row = readonly [
  serial: string,
  revokedAt: number,
  reason: CrlReasonName | null,
  invalidityAt: number | null,
  unlisted: number | null,
];

/**
 * What a delta says over its base (RFC 5280 §5.2.4): how each certificate is whose status changed behind it. With
 * removeFromCRL come holds that were released, also those that only lists after the base knew ("MUST be listed"), and
 * certificates that ended.
 */
export async function readDeltaContent(
  moment: CrlMoment,
  base: CrlBase,
  endedBefore: number,
): Promise<ListContent> {
  const { authority } = base;
  const rows = new Map<string, Row>();
  for (let after = base.changes; ; ) {
    const slice = moment.listChanged(authority, after, SLICE);
    // How a certificate is now comes with each of its changes; the last of a released one is its release.
    for (const { serial, at, listed, notAfter } of slice)
      if (!listed) rows.set(serial, [serial, at, 'removeFromCRL', null, null]);
      else if (notAfter >= endedBefore) rows.set(serial, listed);
    if (slice.length < SLICE) break;
    after = slice.at(-1)?.sequence ?? after;
    await breathe();
  }
  const ended = { authority, from: base.endedBefore, until: endedBefore, limit: SLICE };
  await eachSlice(
    (after) => moment.listEnded({ ...ended, after }),
    ([serial, revokedAt]) => rows.set(serial, [serial, revokedAt, 'removeFromCRL', null, null]),
  );
  const content = newContent(rows.size);
  let added = 0;
  for (const serial of [...rows.keys()].sort()) {
    const row = rows.get(serial);
    if (row) content.add(row);
    added += 1;
    if (added % (5 * SLICE) === 0) await breathe();
  }
  return content;
}

async function eachSlice(
  read: (after: string) => readonly ListedRow[],
  take: (row: ListedRow) => void,
): Promise<void> {
  for (let after = ''; ; ) {
    const rows = read(after);
    for (const row of rows) take(row);
    if (rows.length < SLICE) return;
    after = rows.at(-1)?.[0] ?? after;
    await breathe();
  }
}

function newContent(most: number): ListContent & { add(row: Row): void } {
  const entries = createCrlEntries(most);
  const firstListed: number[] = [];
  return {
    entries,
    firstListed,
    add: ([serial, revokedAt, reason, invalidityAt, unlisted]) => {
      entries.add(serial, revokedAt, reason, invalidityAt);
      if (unlisted !== null) firstListed.push(unlisted);
    },
  };
}
