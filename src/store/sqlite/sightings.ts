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
  const add = db
    .prepare<[string], number>(
      `INSERT INTO sightings (id, seen_at, listener, told_by)
       SELECT value ->> 'id', value ->> 'seenAt', value ->> 'listener', value ->> 'toldBy' FROM json_each(?) WHERE true
       ON CONFLICT (id) DO NOTHING RETURNING id`,
    )
    .pluck();
  const again = db.prepare<[string]>(
    `UPDATE sightings SET last_seen_at = j.value ->> 1 FROM json_each(?) j
     WHERE sightings.id = j.value ->> 0 AND j.value ->> 1 - coalesce(last_seen_at, seen_at) >= ${DAY_MS}`,
  );
  return {
    addSightings: (sightings) =>
      call(() => {
        if (sightings.length === 0) return [];
        const added = new Set(add.all(JSON.stringify(sightings)));
        const lastSeen = new Map<number, number>();
        for (const { id, lastSeenAt } of sightings)
          if (!added.has(id)) lastSeen.set(id, Math.max(lastSeenAt, lastSeen.get(id) ?? 0));
        if (lastSeen.size > 0) again.run(JSON.stringify([...lastSeen]));
        return sightings.filter(({ id }) => added.delete(id));
      }),
  };
}
