// A ledger as an older version of this program left it.

import Database from 'better-sqlite3';
import { ledger } from '../../src/store/sqlite/migrations/0001-ledger.ts';
import { trust } from '../../src/store/sqlite/migrations/0002-trust.ts';
import { revocation } from '../../src/store/sqlite/migrations/0003-revocation.ts';
import { record } from '../../src/store/sqlite/migrations/0004-record.ts';
import { blockedKeys } from '../../src/store/sqlite/migrations/0005-blocked-keys.ts';
import { delta } from '../../src/store/sqlite/migrations/0006-delta.ts';
import { sightings } from '../../src/store/sqlite/migrations/0007-sightings.ts';
import { life } from '../../src/store/sqlite/migrations/0008-life.ts';
import { NOW } from './samples.ts';

/** The newest of these was written by the version before. */
const SHAPES = [ledger, trust, revocation, record, blockedKeys, delta, sightings, life] as const;
export const NEWEST_OLD_SHAPE = SHAPES.length;

/** With one device in it. */
export function makeOlderLedger(path: string, shape: number): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  for (const sql of SHAPES.slice(0, shape)) db.exec(sql);
  db.pragma(`application_id = ${0x424d524b}`);
  db.pragma(`user_version = ${shape}`);
  db.exec(
    `INSERT INTO devices (namespace, serial_number, state, created_at) VALUES ('own', 'SN-1', 'enrolled', ${NOW})`,
  );
  db.close();
}
