import { sql } from 'kysely';
import type { CertificateReads, CertificateSearch } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';
import { queries, runQuery } from './queries.ts';
import { type CertificateRow, toCertificate } from './rows.ts';

/** Certificates looked at without letting others have a turn: some milliseconds. */
const SLICE = 2000;
/** Slices of one request; where they end before the page is full, the page is short and has a cursor. */
const SLICES = 50;

/** Serial numbers have at most 20 octets (RFC 5280 §4.1.2.2). */
const SERIAL_OCTETS = 20;

/**
 * Looks through the certificates from the newest to the oldest, a bounded number of them a request. A holder is found
 * whatever the case of its letters A to Z.
 */
export function certificateSearch({ db, call, pause }: Connection): CertificateReads['searchCertificates'] {
  const newest = db.prepare<[], number | null>('SELECT max(id) FROM certificates').pluck();

  const matching = (
    search: CertificateSearch,
    from: number,
    below: number,
    limit: number,
  ): CertificateRow[] => {
    const { query = '', profile } = search;
    const serials = serialRange(query);
    return runQuery(
      db,
      queries
        .selectFrom('certificates as c')
        .innerJoin('signatures as s', 's.id', 'c.id')
        .selectAll('c')
        .select('s.signature')
        .where('c.id', '>=', from)
        .where('c.id', '<', below)
        .$if(profile !== undefined, (q) => q.where('c.profile', '=', profile ?? ''))
        .$if(query !== '', (q) =>
          q.where((e) =>
            e.or([
              sql<boolean>`c.holder LIKE ${anywhere(query)} ESCAPE '\\'`,
              ...(serials
                ? [e.and([e('c.serial', '>=', serials.first), e('c.serial', '<=', serials.last)])]
                : []),
            ]),
          ),
        )
        .orderBy('c.id', 'desc')
        .limit(limit),
    );
  };

  return async (search) => {
    const { limit } = search;
    const found: CertificateRow[] = [];
    let below = await call(() => parseIdCursor('certificates', search) ?? (newest.get() ?? 0) + 1);
    for (let slice = 0; below > 1; slice += 1) {
      if (slice === SLICES)
        return { items: found.map(toCertificate), cursor: encodeCursor('certificates', below) };
      const from = Math.max(1, below - SLICE);
      const top = below;
      found.push(...(await call(() => matching(search, from, top, limit + 1 - found.length))));
      if (found.length > limit) break;
      below = from;
      await pause();
    }
    return toPage(found, limit, toCertificate, ({ id }) => encodeCursor('certificates', id));
  };
}

/** A pattern for LIKE, whose own characters lose their meaning where the query has them. */
function anywhere(query: string): string {
  return `%${query.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
}

/** The least and the greatest serial that begin with these hexadecimal digits. */
function serialRange(query: string): { readonly first: Buffer; readonly last: Buffer } | undefined {
  if (!/^[0-9A-Fa-f]{1,40}$/.test(query)) return undefined;
  const even = query.length + (query.length % 2);
  return {
    first: Buffer.from(query.padEnd(even, '0'), 'hex'),
    last: Buffer.from(query.padEnd(SERIAL_OCTETS * 2, 'f'), 'hex'),
  };
}
