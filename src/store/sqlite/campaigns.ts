import { BirthmarkError } from '../../core/errors.ts';
import type {
  CampaignFact,
  CampaignMove,
  CampaignReads,
  CampaignRecord,
  CampaignTally,
  CampaignWrites,
} from '../../fleet/campaign/ports.ts';
import { memberReads, memberWrites } from './campaign-members.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';
import { credentialScan } from './scan-credentials.ts';

interface CampaignRow {
  readonly id: number;
  readonly name: string;
  readonly state: CampaignRecord['state'];
  readonly plan: string;
  readonly created_at: number;
  readonly created_by: string;
  readonly scan_end: number;
  readonly scanned_through: number;
  readonly planned_at: number | null;
  readonly approved_at: number | null;
  readonly approved_by: string | null;
  readonly started_at: number | null;
  readonly started_by: string | null;
  readonly paused_at: number | null;
  readonly paused_because: string | null;
  readonly paused_ms: number;
  readonly ended_at: number | null;
  readonly wave: number;
  readonly wave_size: number;
  readonly wave_called: number;
  readonly wave_called_at: number | null;
  readonly credit_at: number | null;
  readonly gate_passed: number;
  readonly followed_through: number;
  readonly looked_at: number | null;
}

/** The column of each value that moves. */
const COLUMNS: Readonly<Record<keyof CampaignMove, keyof CampaignRow>> = {
  state: 'state',
  scannedThrough: 'scanned_through',
  plannedAt: 'planned_at',
  approvedAt: 'approved_at',
  approvedBy: 'approved_by',
  startedAt: 'started_at',
  startedBy: 'started_by',
  pausedAt: 'paused_at',
  pausedBecause: 'paused_because',
  pausedMs: 'paused_ms',
  endedAt: 'ended_at',
  wave: 'wave',
  waveSize: 'wave_size',
  waveCalled: 'wave_called',
  waveCalledAt: 'wave_called_at',
  creditAt: 'credit_at',
  gatePassed: 'gate_passed',
  followedThrough: 'followed_through',
  lookedAt: 'looked_at',
};

export function campaignReads(connection: Connection): CampaignReads {
  const { db, call } = connection;
  const find = db.prepare<[string], CampaignRow>('SELECT * FROM campaigns WHERE name = ?');
  const list = db.prepare<[number, number], CampaignRow>(
    'SELECT * FROM campaigns WHERE id < ? ORDER BY id DESC LIMIT ?',
  );
  const findIn = db.prepare<[string], CampaignRow>(
    'SELECT * FROM campaigns WHERE state IN (SELECT value FROM json_each(?)) ORDER BY id',
  );
  const tally = db.prepare<[number], CampaignTally>(
    'SELECT wave, state, members FROM campaign_tallies WHERE campaign_id = ? AND members > 0',
  );
  const facts = db.prepare<[number, string, number], CampaignFact>(
    `SELECT kind, name, count FROM campaign_facts WHERE campaign_id = ? AND kind = ?
     ORDER BY count DESC, name LIMIT ?`,
  );
  const countFacts = db
    .prepare<[number, string], number>(
      'SELECT count(*) FROM campaign_facts WHERE campaign_id = ? AND kind = ?',
    )
    .pluck();
  return {
    ...memberReads(connection),
    scanCredentials: credentialScan(connection),
    findCampaign: (name) =>
      call(() => {
        const row = find.get(name);
        return row && toCampaign(row);
      }),
    listCampaigns: (page) =>
      call(() => {
        const below = parseIdCursor('campaigns', page) ?? Number.MAX_SAFE_INTEGER;
        const rows = list.all(below, page.limit + 1);
        return toPage(rows, page.limit, toCampaign, ({ id }) => encodeCursor('campaigns', id));
      }),
    findCampaignsIn: (states) => call(() => findIn.all(JSON.stringify(states)).map(toCampaign)),
    tallyCampaign: (id) => call(() => tally.all(id)),
    campaignFacts: (id, kind, limit) =>
      call(() => ({ facts: facts.all(id, kind, limit), names: countFacts.get(id, kind) ?? 0 })),
  };
}

export function campaignWrites(connection: Connection): Omit<CampaignWrites, keyof CampaignReads> {
  const { db, call } = connection;
  const add = db.prepare<unknown[], CampaignRow>(
    `INSERT INTO campaigns (name, state, plan, created_at, created_by, scan_end, scanned_through, followed_through)
     VALUES (?, 'planning', ?, ?, ?, ?, ?, ?) RETURNING *`,
  );
  const known = db.prepare<[string], number>('SELECT 1 FROM campaigns WHERE name = ?').pluck();
  const count = db.prepare<[number, string, string, number]>(
    `INSERT INTO campaign_facts (campaign_id, kind, name, count) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  );
  const dropSome = ['campaign_certificates', 'campaign_members'].map((table) =>
    db.prepare<[number, number, number]>(
      `DELETE FROM ${table} WHERE campaign_id = ? AND device_id IN
       (SELECT device_id FROM ${table} WHERE campaign_id = ? LIMIT ?)`,
    ),
  );
  const dropRest = ['campaign_tallies', 'campaign_facts'].map((table) =>
    db.prepare<[number]>(`DELETE FROM ${table} WHERE campaign_id = ?`),
  );
  const dropOne = db.prepare<[number]>('DELETE FROM campaigns WHERE id = ?');
  return {
    ...memberWrites(connection),
    addCampaign: ({ name, plan, createdAt, createdBy, scanEnd, scannedThrough }) =>
      call(() => {
        if (known.get(name) !== undefined)
          throw new BirthmarkError(
            'already-exists',
            `there is a campaign ${name} already; take another name`,
          );
        const row = add.get(name, plan, createdAt, createdBy, scanEnd, scannedThrough, scanEnd);
        if (!row) throw new BirthmarkError('ledger-failed', 'a campaign was not written');
        return toCampaign(row);
      }),
    moveCampaign: (id, move) =>
      call(() => {
        const moved = Object.entries(COLUMNS).filter(([name]) => Reflect.has(move, name));
        if (moved.length === 0) return;
        const { changes } = db
          .prepare<unknown[]>(
            `UPDATE campaigns SET ${moved.map(([, column]) => `${column} = ?`).join(', ')} WHERE id = ?`,
          )
          .run(...moved.map(([name]) => Reflect.get(move, name) ?? null), id);
        if (changes === 0) throw new BirthmarkError('not-found', 'the ledger has no such campaign');
      }),
    dropCampaign: (id, limit) =>
      call(() => {
        for (const drop of dropSome) if (drop.run(id, id, limit).changes > 0) return false;
        for (const drop of dropRest) drop.run(id);
        dropOne.run(id);
        return true;
      }),
    countFacts: (id, counted) =>
      call(() => {
        for (const { kind, name, count: by } of counted) count.run(id, kind, name, by);
      }),
  };
}

function toCampaign(row: CampaignRow): CampaignRecord {
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    plan: row.plan,
    createdAt: row.created_at,
    createdBy: row.created_by,
    scanEnd: row.scan_end,
    scannedThrough: row.scanned_through,
    ...(row.planned_at === null ? {} : { plannedAt: row.planned_at }),
    ...(row.approved_at === null ? {} : { approvedAt: row.approved_at }),
    ...(row.approved_by === null ? {} : { approvedBy: row.approved_by }),
    ...(row.started_at === null ? {} : { startedAt: row.started_at }),
    ...(row.started_by === null ? {} : { startedBy: row.started_by }),
    ...(row.paused_at === null ? {} : { pausedAt: row.paused_at }),
    ...(row.paused_because === null ? {} : { pausedBecause: row.paused_because }),
    pausedMs: row.paused_ms,
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
    wave: row.wave,
    waveSize: row.wave_size,
    waveCalled: row.wave_called,
    ...(row.wave_called_at === null ? {} : { waveCalledAt: row.wave_called_at }),
    ...(row.credit_at === null ? {} : { creditAt: row.credit_at }),
    gatePassed: row.gate_passed,
    followedThrough: row.followed_through,
    ...(row.looked_at === null ? {} : { lookedAt: row.looked_at }),
  };
}
