import type { Database } from 'better-sqlite3';
import {
  type Compilable,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { CertificatesTable, DevicesTable } from './rows.ts';

interface SearchedTables {
  readonly devices: DevicesTable;
  readonly device_labels: { readonly label: string };
  readonly certificates: CertificatesTable;
  readonly signatures: { readonly id: number; readonly signature: Uint8Array };
}

/** Builds the searches. It only writes SQL: the driver underneath is ours, see `runQuery`. */
export const queries = new Kysely<SearchedTables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

/** Runs a built query at once. */
export function runQuery<Row>(db: Database, query: Compilable<Row>): Row[] {
  const { sql, parameters } = query.compile();
  return db.prepare<unknown[], Row>(sql).all(...parameters);
}
