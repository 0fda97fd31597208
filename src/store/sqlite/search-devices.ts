import type { DeviceReads, DeviceSearch } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parsePairCursor, toPage } from './cursor.ts';
import { queries, runQuery } from './queries.ts';
import { type DevicesTable, toDevice } from './rows.ts';

/** Devices looked at without letting others have a turn: some milliseconds. */
const SLICE = 2000;
/** Slices of one request; where they end before the page is full, the page is short and has a cursor. */
const SLICES = 50;

/** Sorts behind every text that begins with the same prefix. */
const LAST_CHARACTER = '\u{10ffff}';

interface Filter {
  readonly state: DeviceSearch['state'];
  /** The beginning of the serial number; every one begins with the empty text. */
  readonly prefix: string;
  /** A model or batch that exists: then devices of another prefix belong to the answer too. */
  readonly label: string | undefined;
}

/** Devices of a namespace behind a serial number, in its order. */
interface Stretch {
  readonly namespace: string;
  readonly after: string;
}

/**
 * Lists devices in the order of the index over namespace and serial number. The beginning of a serial number is looked
 * up there; a state, model or batch is looked for device by device, a bounded number of them a request.
 */
export function deviceSearch({ db, call, pause }: Connection): DeviceReads['searchDevices'] {
  const hasLabel = db.prepare<[string], number>('SELECT 1 FROM device_labels WHERE label = ?').pluck();
  // Jumps from one namespace to the next in the index: they are few, their devices are many.
  const namespaces = db
    .prepare<[], string>(
      `WITH RECURSIVE jump (namespace) AS (
         SELECT min(namespace) FROM devices
         UNION ALL
         SELECT (SELECT min(namespace) FROM devices WHERE namespace > jump.namespace)
         FROM jump WHERE jump.namespace IS NOT NULL
       ) SELECT namespace FROM jump WHERE namespace IS NOT NULL`,
    )
    .pluck();

  /** The stretch's devices in order, to `last`. Each end has one bound: of two SQLite may take the wrong one. */
  const inOrder = ({ namespace, after }: Stretch, { prefix, label }: Filter, last?: string) =>
    queries
      .selectFrom('devices')
      .where('namespace', '=', namespace)
      .$if(label === undefined && prefix > after, (q) => q.where('serial_number', '>=', prefix))
      .$if(label !== undefined || prefix <= after, (q) => q.where('serial_number', '>', after))
      .$if(last !== undefined, (q) => q.where('serial_number', '<=', last ?? ''))
      .$if(last === undefined && label === undefined, (q) =>
        q.where('serial_number', '<', prefix + LAST_CHARACTER),
      )
      .orderBy('serial_number');

  const lastOfSlice = (stretch: Stretch, filter: Filter): string | undefined =>
    runQuery(
      db,
      inOrder(stretch, filter)
        .select('serial_number')
        .offset(SLICE - 1)
        .limit(1),
    )[0]?.serial_number;

  const matching = (stretch: Stretch, last: string | undefined, filter: Filter, limit: number) => {
    const { state, prefix, label } = filter;
    return runQuery(
      db,
      inOrder(stretch, filter, last)
        .selectAll()
        .$if(state !== undefined, (q) => q.where('state', '=', state ?? 'enrolled'))
        .$if(label !== undefined, (q) =>
          q.where((e) =>
            e.or([
              e.and([e('serial_number', '>=', prefix), e('serial_number', '<', prefix + LAST_CHARACTER)]),
              e('model', '=', prefix),
              e('batch', '=', prefix),
            ]),
          ),
        )
        .limit(limit),
    );
  };

  return async (search) => {
    const { query: prefix = '', namespace, state, limit } = search;
    const { cursor, label, all } = await call(() => ({
      cursor: parsePairCursor('devices', search),
      label: hasLabel.get(prefix) === undefined ? undefined : prefix,
      all: namespace === undefined ? namespaces.all() : [namespace],
    }));
    const sliced = state !== undefined || label !== undefined;
    const found: DevicesTable[] = [];
    let slices = SLICES;
    for (const name of all) {
      let after: string | undefined = cursor && cursor[0] === name ? cursor[1] : '';
      if (cursor && name < cursor[0]) continue;
      while (after !== undefined) {
        if (slices === 0) return { items: found.map(toDevice), cursor: encodeCursor('devices', name, after) };
        const stretch: Stretch = { namespace: name, after };
        const filter: Filter = { state, prefix, label };
        after = await call(() => {
          const last = sliced ? lastOfSlice(stretch, filter) : undefined;
          found.push(...matching(stretch, last, filter, limit + 1 - found.length));
          return last;
        });
        if (found.length > limit) return page(found, limit);
        if (sliced) {
          slices -= 1;
          await pause();
        }
      }
    }
    return page(found, limit);
  };
}

function page(rows: readonly DevicesTable[], limit: number) {
  return toPage(rows, limit, toDevice, (last) => encodeCursor('devices', last.namespace, last.serial_number));
}
