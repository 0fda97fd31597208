import type { KeyReads, KeyRecord, KeyWrites } from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import type { Connection } from './connection.ts';

interface KeyRow {
  readonly device_id: number | null;
  readonly holder: string | null;
  readonly blocked: string | null;
}

/** No key has it. */
const BEFORE_ALL = new Uint8Array(0);

export function keyReads({ db, call }: Connection): KeyReads {
  const find = db.prepare<[Uint8Array], KeyRow>(
    'SELECT device_id, holder, blocked FROM keys WHERE key_hash = ?',
  );
  const blocked = db
    .prepare<[Uint8Array, number], Uint8Array>(
      'SELECT key_hash FROM keys WHERE blocked IS NOT NULL AND key_hash > ? ORDER BY key_hash LIMIT ?',
    )
    .pluck();
  // A device's certificates are found by the device, others by their key.
  const told = db
    .prepare<[{ keyHash: Uint8Array; endedBefore: number }], number>(
      `SELECT EXISTS (SELECT 1 FROM keys k JOIN certificates c ON c.device_id = k.device_id JOIN revocations r ON r.id = c.id
           WHERE k.key_hash = +@keyHash AND c.key_hash = +@keyHash AND r.reason = 'keyCompromise' AND r.not_after >= +@endedBefore)
         OR EXISTS (SELECT 1 FROM certificates c JOIN revocations r ON r.id = c.id
           WHERE c.device_id IS NULL AND c.key_hash = +@keyHash AND r.reason = 'keyCompromise' AND r.not_after >= +@endedBefore)`,
    )
    .pluck();
  return {
    scanBlockedKeys: ({ endedBefore, after = BEFORE_ALL, limit }) =>
      call(() => {
        const keys = blocked.all(after, limit);
        const through = keys.length === limit ? keys.at(-1) : undefined;
        const items = keys.filter((keyHash) => told.get({ keyHash, endedBefore }) === 0);
        return { items, ...(through && { through }) };
      }),
    findKeys: (keyHashes) =>
      call(() =>
        keyHashes.map((keyHash) => {
          const row = find.get(keyHash);
          return row && toKey(keyHash, row);
        }),
      ),
  };
}

export function keyWrites({ db, call, note }: Connection): Omit<KeyWrites, keyof KeyReads> {
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
          // A device's key is in the record with the certificate that is reserved for it.
          if (deviceId === undefined)
            note({
              act: 'claimKey',
              keyHash: toHex(keyHash),
              ...(holder !== undefined && { holder }),
              ...(blocked !== undefined && { blocked }),
            });
        }
      }),
    blockKey: (keyHash, reason, at) =>
      call(() => {
        if (block.run(keyHash, reason, at).changes > 0)
          note({ act: 'blockKey', keyHash: toHex(keyHash), reason, at });
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
