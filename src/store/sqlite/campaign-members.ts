import type {
  CampaignCertificate,
  CampaignReads,
  CampaignWrites,
  MemberMove,
  MemberRecord,
  MemberState,
} from '../../fleet/campaign/ports.ts';
import type { Connection } from './connection.ts';
import { type CertificateRow, toCertificate } from './rows.ts';

interface MemberRow {
  readonly device_id: number;
  readonly state: MemberState;
  readonly access: MemberRecord['access'];
  readonly wave: number;
  readonly called_at: number | null;
  readonly renewed_at: number | null;
  readonly ended_at: number | null;
}

/** The column of each value that moves. */
const COLUMNS: Readonly<Record<keyof MemberMove, keyof MemberRow>> = {
  state: 'state',
  access: 'access',
  wave: 'wave',
  calledAt: 'called_at',
  renewedAt: 'renewed_at',
  endedAt: 'ended_at',
};

interface CampaignCertificateRow {
  readonly device_id: number;
  readonly certificate_id: number;
  readonly part: CampaignCertificate['part'];
  readonly profile: string;
  readonly held: number;
}

/** Rows looked at without letting others have a turn: some milliseconds. */
const SLICE = 2000;

type MemberReads = Pick<
  CampaignReads,
  | 'listMembers'
  | 'findMembersIn'
  | 'findAccessDue'
  | 'findMembers'
  | 'findCampaignCertificates'
  | 'newestCertificate'
  | 'signedThrough'
  | 'findIssuedToMembers'
  | 'findUsedSuccessors'
  | 'latestFollowers'
  | 'latestRenewals'
>;

export function memberReads({ db, call }: Connection): MemberReads {
  const select = 'SELECT * FROM campaign_members m';
  const list = db.prepare<[{ id: number; after: number; limit: number }], MemberRow>(
    `${select} WHERE m.campaign_id = @id AND m.device_id > @after ORDER BY m.device_id LIMIT @limit`,
  );
  // By the primary key, which the planner would take since it has the order, all are looked at that are behind it already.
  const listIn = db.prepare<[{ id: number; state: string; after: number; limit: number }], MemberRow>(
    `${select} INDEXED BY campaign_members_state
     WHERE m.campaign_id = @id AND m.state = @state AND m.device_id > @after ORDER BY m.device_id LIMIT @limit`,
  );
  const due = db.prepare<[{ id: number; limit: number }], MemberRow>(
    `${select} INDEXED BY campaign_members_due
     WHERE m.campaign_id = @id AND m.access = 'due' ORDER BY m.device_id LIMIT @limit`,
  );
  const find = db.prepare<[{ id: number; deviceIds: string }], MemberRow>(
    `SELECT m.* FROM json_each(@deviceIds) j CROSS JOIN campaign_members m
       ON m.campaign_id = +@id AND m.device_id = j.value`,
  );
  const certificates = db.prepare<[{ id: number; deviceIds: string }], CampaignCertificateRow>(
    `SELECT m.*, c.profile FROM json_each(@deviceIds) j CROSS JOIN campaign_certificates m
       ON m.campaign_id = +@id AND m.device_id = j.value CROSS JOIN certificates c ON c.id = m.certificate_id
     ORDER BY j.key, m.certificate_id`,
  );
  const newest = db.prepare<[], number | null>('SELECT max(id) FROM certificates').pluck();
  const reserved = db.prepare<[], number | null>('SELECT min(id) FROM pending').pluck();
  const issued = db.prepare<[{ id: number; after: number; through: number }], CertificateRow>(
    `SELECT c.*, s.signature FROM certificates c JOIN signatures s ON s.id = c.id
     CROSS JOIN campaign_members m ON m.campaign_id = @id AND m.device_id = c.device_id
     WHERE c.id > @after AND c.id <= @through ORDER BY c.id`,
  );
  const lastOfSlice = db
    .prepare<[number, number], number>(
      `SELECT device_id FROM campaign_members WHERE campaign_id = ? AND state = 'renewed' AND device_id > ?
       ORDER BY device_id LIMIT 1 OFFSET ${SLICE - 1}`,
    )
    .pluck();
  const used = db
    .prepare<[{ id: number; after: number; through: number }], number>(
      `SELECT m.device_id FROM campaign_members m WHERE m.campaign_id = @id AND m.state = 'renewed'
         AND m.device_id > @after AND m.device_id <= @through
         AND EXISTS (SELECT 1 FROM campaign_certificates n JOIN sightings g ON g.id = n.certificate_id
           WHERE n.campaign_id = m.campaign_id AND n.device_id = m.device_id AND n.part = 'new')
       ORDER BY m.device_id`,
    )
    .pluck();
  const followers = db
    .prepare<[number], readonly [wave: number, calledAt: number, endedAt: number]>(
      `SELECT wave, called_at, ended_at FROM campaign_members
       WHERE state = 'replaced' AND called_at IS NOT NULL
         AND campaign_id = (SELECT max(campaign_id) FROM campaign_tallies WHERE state = 'replaced' AND members > 0)
       ORDER BY device_id DESC LIMIT ?`,
    )
    .raw();
  const issuance = db
    .prepare<[string, number], number>(
      `SELECT reserved_at FROM certificates WHERE profile IN (SELECT value FROM json_each(?))
         AND vouched_by >= 'certificate:' AND vouched_by < 'certificate;'
         AND id > (SELECT max(id) FROM certificates) - ? ORDER BY id DESC`,
    )
    .pluck();
  return {
    listMembers: (id, { state, after, limit }) =>
      call(() =>
        (state === undefined ? list.all({ id, after, limit }) : listIn.all({ id, state, after, limit })).map(
          toMember,
        ),
      ),
    findMembersIn: (id, states, limit) =>
      call(() => {
        const rows: MemberRow[] = [];
        for (const state of states)
          if (rows.length < limit)
            rows.push(...listIn.all({ id, state, after: 0, limit: limit - rows.length }));
        return rows.map(toMember);
      }),
    findAccessDue: (id, limit) => call(() => due.all({ id, limit }).map(toMember)),
    findMembers: (id, deviceIds) =>
      call(() => {
        const rows = find.all({ id, deviceIds: JSON.stringify(deviceIds) });
        const members = new Map(rows.map((row) => [row.device_id, toMember(row)]));
        return deviceIds.map((deviceId) => members.get(deviceId));
      }),
    findCampaignCertificates: (id, deviceIds) =>
      call(() =>
        certificates
          .all({ id, deviceIds: JSON.stringify(deviceIds) })
          .map(({ device_id, certificate_id, part, profile, held }) => ({
            deviceId: device_id,
            certificateId: certificate_id,
            part,
            profile,
            held: held === 1,
          })),
      ),
    newestCertificate: () => call(() => newest.get() ?? 0),
    signedThrough: () =>
      call(() => {
        const first = reserved.get() ?? undefined;
        return first === undefined ? (newest.get() ?? 0) : first - 1;
      }),
    findIssuedToMembers: (id, after, end) =>
      call(() => {
        const through = Math.max(after, Math.min(end, after + SLICE));
        return { items: issued.all({ id, after, through }).map(toCertificate), through };
      }),
    findUsedSuccessors: (id, after) =>
      call(() => {
        const through = lastOfSlice.get(id, after);
        const deviceIds = used.all({ id, after, through: through ?? Number.MAX_SAFE_INTEGER });
        return { deviceIds, ...(through !== undefined && { through }) };
      }),
    latestFollowers: (limit) =>
      call(() => followers.all(limit).map(([wave, calledAt, endedAt]) => ({ wave, calledAt, endedAt }))),
    latestRenewals: (profiles, limit) => call(() => issuance.all(JSON.stringify(profiles), limit)),
  };
}

type MemberWrites = Pick<
  CampaignWrites,
  'addMembers' | 'moveMembers' | 'addCampaignCertificates' | 'setHeldByCampaign'
>;

export function memberWrites({ db, call }: Connection): MemberWrites {
  const add = db.prepare<[number, number, string]>(
    `INSERT INTO campaign_members (campaign_id, device_id, state, access) VALUES (?, ?, 'waiting', ?)
     ON CONFLICT DO NOTHING`,
  );
  const addCertificates = db.prepare<[number, string]>(
    `INSERT INTO campaign_certificates (campaign_id, device_id, certificate_id, part)
     SELECT ?, value ->> 'deviceId', value ->> 'certificateId', value ->> 'part' FROM json_each(?) WHERE true
     ON CONFLICT DO NOTHING`,
  );
  const hold = db.prepare<[number, number, number, number]>(
    'UPDATE campaign_certificates SET held = ? WHERE campaign_id = ? AND device_id = ? AND certificate_id = ?',
  );
  return {
    addMembers: (id, members) =>
      call(() =>
        members
          .filter(({ deviceId, access }) => add.run(id, deviceId, access).changes > 0)
          .map(({ deviceId }) => deviceId),
      ),
    moveMembers: (id, deviceIds, moved) =>
      call(() => {
        const said = Object.entries(COLUMNS).filter(([name]) => Reflect.get(moved, name) !== undefined);
        if (deviceIds.length === 0 || said.length === 0) return;
        // Only what moves: a column that is set has its indexes written, to the same value too.
        db.prepare<unknown[]>(
          `UPDATE campaign_members SET ${said.map(([, column]) => `${column} = ?`).join(', ')}
           WHERE campaign_id = ? AND device_id IN (SELECT value FROM json_each(?))`,
        ).run(...said.map(([name]) => Reflect.get(moved, name)), id, JSON.stringify(deviceIds));
      }),
    addCampaignCertificates: (id, added) =>
      call(() => {
        if (added.length > 0) addCertificates.run(id, JSON.stringify(added));
      }),
    setHeldByCampaign: (id, deviceId, certificateId, held) =>
      call(() => {
        hold.run(held ? 1 : 0, id, deviceId, certificateId);
      }),
  };
}

function toMember(row: MemberRow): MemberRecord {
  return {
    deviceId: row.device_id,
    state: row.state,
    access: row.access,
    wave: row.wave,
    ...(row.called_at === null ? {} : { calledAt: row.called_at }),
    ...(row.renewed_at === null ? {} : { renewedAt: row.renewed_at }),
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
  };
}
