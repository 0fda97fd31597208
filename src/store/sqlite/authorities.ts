import type {
  AuthorityReads,
  AuthorityRecord,
  AuthorityState,
  AuthorityWrites,
  CrossCertificate,
  StandingCertificates,
} from '../../ca/ports.ts';
import { toBase64 } from '../../core/bytes.ts';
import type { Connection } from './connection.ts';
import { newEpoch } from './record/epoch.ts';

interface AuthorityRow {
  readonly name: string;
  readonly family: string;
  readonly generation: number;
  readonly state: AuthorityState;
  readonly certificate: Uint8Array;
  readonly issuer: string;
  readonly created_at: number;
  readonly published_at: number | null;
  readonly activated_at: number | null;
  readonly former_at: number | null;
  readonly retired_at: number | null;
}

/** Certificates looked at without letting others have a turn: some milliseconds. */
const SLICE = 4000;

export function authorityReads(connection: Connection): AuthorityReads {
  const { db, call } = connection;
  const list = db.prepare<[], AuthorityRow>('SELECT * FROM authorities ORDER BY id');
  const crossed = db.prepare<[], CrossCertificate>(
    'SELECT subject, issuer, certificate FROM cross_certificates ORDER BY subject, issuer',
  );
  return {
    listAuthorities: () => call(() => list.all().map(toAuthority)),
    listCrossCertificates: () => call(() => crossed.all()),
    countStanding: standingCount(connection),
  };
}

/** Goes through what was issued since; there is no index for it, since an authority is retired once in years. */
function standingCount({ db, call, pause }: Connection): AuthorityReads['countStanding'] {
  const newest = db.prepare<[], number | null>('SELECT max(id) FROM certificates').pluck();
  const slice = db.prepare<
    [{ readonly authority: string; readonly now: number; readonly after: number; readonly through: number }],
    { readonly certificates: number; readonly until: number | null }
  >(
    `SELECT count(*) AS certificates, max(c.not_after) AS until FROM certificates c
     LEFT JOIN revocations r ON r.id = c.id
     WHERE c.id > @after AND c.id <= @through AND c.authority = @authority AND c.not_after >= @now
       AND c.profile NOT IN ('ocsp-responder', 'cross') AND (r.id IS NULL OR r.held = 1)`,
  );
  return async (authority, now, after): Promise<StandingCertificates> => {
    let certificates = 0;
    let until = 0;
    const end = await call(() => newest.get() ?? 0);
    for (let from = after; from < end; from += SLICE) {
      const bounds = { authority, now, after: from, through: Math.min(end, from + SLICE) };
      const found = await call(() => slice.get(bounds));
      certificates += found?.certificates ?? 0;
      until = Math.max(until, found?.until ?? 0);
      await pause();
    }
    return { certificates, ...(certificates > 0 && { until }) };
  };
}

export function authorityWrites({ db, call, note }: Connection): Omit<AuthorityWrites, keyof AuthorityReads> {
  const add = db.prepare<unknown[]>(
    `INSERT INTO authorities (name, family, generation, state, certificate, issuer, created_at, published_at, activated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const others = db.prepare('SELECT 1 FROM authorities LIMIT 1');
  const cross = db.prepare<unknown[]>(
    'INSERT INTO cross_certificates (subject, issuer, certificate) VALUES (?, ?, ?)',
  );
  const move = stateMoves(db);
  const publish = db.prepare<[number, string]>(
    'UPDATE authorities SET published_at = ? WHERE name = ? AND published_at IS NULL',
  );
  return {
    addAuthorities: (authorities) =>
      call(() => {
        // Who follows statuses must learn whose there are.
        const [first] = authorities;
        if (first && others.get() !== undefined) newEpoch(db, first.createdAt);
        for (const one of authorities) {
          const { name, family, generation, state, certificate, issuer, createdAt } = one;
          const { publishedAt = null, activatedAt = null } = one;
          const what = [name, family, generation, state, certificate, issuer];
          add.run(...what, createdAt, publishedAt, activatedAt);
          const base64 = toBase64(certificate);
          note({
            act: 'addAuthority',
            name,
            family,
            generation,
            state,
            issuer,
            createdAt,
            certificate: base64,
          });
        }
      }),
    addCrossCertificates: (certificates) =>
      call(() => {
        for (const { subject, issuer, certificate } of certificates) {
          cross.run(subject, issuer, certificate);
          note({ act: 'crossCertify', subject, issuer, certificate: toBase64(certificate) });
        }
      }),
    moveAuthority: (name, state, at) =>
      call(() => {
        move(name, state, at);
        note({ act: 'moveAuthority', name, state, at });
      }),
    notePublishedAuthority: (name, at) => call(() => void publish.run(at, name)),
  };
}

/** Moves an authority to a state; `replay` does it again. */
export function stateMoves(
  db: Connection['db'],
): (name: string, state: Exclude<AuthorityState, 'prepared'>, at: number) => void {
  const to = (column: string) =>
    db.prepare<[string, number, string]>(`UPDATE authorities SET state = ?, ${column} = ? WHERE name = ?`);
  const moves = {
    current: to('activated_at'),
    former: to('former_at'),
    retired: to('retired_at'),
  };
  return (name, state, at) => void moves[state].run(state, at, name);
}

function toAuthority(row: AuthorityRow): AuthorityRecord {
  const { name, family, generation, state, certificate, issuer } = row;
  return {
    ...{ name, family, generation, state, certificate, issuer },
    createdAt: row.created_at,
    ...(row.published_at !== null && { publishedAt: row.published_at }),
    ...(row.activated_at !== null && { activatedAt: row.activated_at }),
    ...(row.former_at !== null && { formerAt: row.former_at }),
    ...(row.retired_at !== null && { retiredAt: row.retired_at }),
  };
}
