import type { KeyReads, KeyRecord, KeyWrites } from '../../ca/ports.ts';
import type { Connection } from './connection.ts';

interface KeyRow {
  readonly device_id: number | null;
  readonly holder: string | null;
  readonly blocked: string | null;
}

export function keyReads({ db, call }: Connection): KeyReads {
  const find = db.prepare<[Uint8Array], KeyRow>(
    'SELECT device_id, holder, blocked FROM keys WHERE key_hash = ?',
  );
  return {
    findKeys: (keyHashes) =>
      call(() =>
        keyHashes.map((keyHash) => {
          const row = find.get(keyHash);
          return row && toKey(keyHash, row);
        }),
      ),
  };
}

export function keyWrites({ db, call }: Connection): Omit<KeyWrites, keyof KeyReads> {
  const claim = db.prepare<[Uint8Array, number | null, string | null, string | null]>(
    'INSERT INTO keys (key_hash, device_id, holder, blocked) VALUES (?, ?, ?, ?)',
  );
  // The first reason stays: it is what the block list's reader must be able to trace.
  const block = db.prepare<[Uint8Array, string, number]>(
    `INSERT INTO keys (key_hash, blocked, blocked_at) VALUES (?, ?, ?)
     ON CONFLICT (key_hash) DO UPDATE SET blocked = excluded.blocked, blocked_at = excluded.blocked_at
     WHERE blocked IS NULL`,
  );
  return {
    claimKeys: (keys) =>
      call(() => {
        for (const { keyHash, deviceId, holder, blocked } of keys) {
          claim.run(keyHash, deviceId ?? null, holder ?? null, blocked ?? null);
        }
      }),
    blockKey: (keyHash, reason, at) =>
      call(() => {
        block.run(keyHash, reason, at);
      }),
  };
}

function toKey(keyHash: Uint8Array, { device_id, holder, blocked }: KeyRow): KeyRecord {
  return {
    keyHash,
    ...(device_id === null ? {} : { deviceId: device_id }),
    ...(holder === null ? {} : { holder }),
    ...(blocked === null ? {} : { blocked }),
  };
}
