import type { Sighting, SightingReads, SightingWrites } from '../../fleet/ports.ts';
import type { Connection } from './connection.ts';

interface SightingRow {
  readonly id: number;
  readonly seen_at: number;
  readonly last_seen_at: number | null;
  readonly listener: string;
  readonly told_by: string;
}

const DAY_MS = 86_400_000;

export function sightingReads({ db, call }: Connection): SightingReads {
  const find = db.prepare<[number], SightingRow>('SELECT * FROM sightings WHERE id = ?');
  return {
    findSightings: (ids) =>
      call(() =>
        ids.map((id): Sighting | undefined => {
          const row = find.get(id);
          return (
            row && {
              id,
              seenAt: row.seen_at,
              lastSeenAt: row.last_seen_at ?? row.seen_at,
              listener: row.listener,
              toldBy: row.told_by,
            }
          );
        }),
      ),
  };
}

export function sightingWrites({ db, call }: Connection): Omit<SightingWrites, keyof SightingReads> {
  const add = db.prepare<[number, number, string, string]>(
    'INSERT INTO sightings (id, seen_at, listener, told_by) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
  );
  const again = db.prepare<[{ readonly id: number; readonly at: number }]>(
    `UPDATE sightings SET last_seen_at = @at WHERE id = @id AND @at - coalesce(last_seen_at, seen_at) >= ${DAY_MS}`,
  );
  return {
    addSightings: (sightings) =>
      call(() =>
        sightings.filter(({ id, seenAt, lastSeenAt, listener, toldBy }) => {
          const first = add.run(id, seenAt, listener, toldBy).changes > 0;
          if (!first) again.run({ id, at: lastSeenAt });
          return first;
        }),
      ),
  };
}
