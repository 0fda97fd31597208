import { equalBytes, toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type {
  CredentialReads,
  CredentialWrites,
  OperatorRecord,
  TicketRecord,
  TokenRecord,
} from '../../enroll/ports.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';

interface TokenRow {
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly role: TokenRecord['role'];
  readonly secret_hash: Uint8Array;
  readonly created_at: number;
  readonly created_by: string;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  readonly profiles: string | null;
  readonly serial_pattern: string | null;
  readonly batch: string | null;
  readonly count: number | null;
  readonly used: number;
  readonly listeners: string | null;
}

type TicketRow = Omit<
  TicketRecord,
  'boundKeyHash' | 'recovery' | 'needsApproval' | 'approvedAt' | 'approvedBy'
> & {
  readonly boundKeyHash: Uint8Array | null;
  readonly recovery: number;
  readonly needsApproval: number;
  readonly approvedAt: number | null;
  readonly approvedBy: string | null;
};

interface OperatorRow extends Omit<OperatorRecord, 'revokedAt'> {
  readonly revokedAt: number | null;
}

export function credentialReads({ db, call }: Connection): CredentialReads {
  const findToken = db.prepare<[string], TokenRow>('SELECT * FROM tokens WHERE id = ?');
  const listTokens = db.prepare<[number, number], TokenRow>(
    'SELECT * FROM tokens WHERE seq > ? ORDER BY seq LIMIT ?',
  );
  const findTicket = db.prepare<[string], TicketRow>(
    `SELECT id, secret_hash AS secretHash, namespace, serial_number AS serialNumber, profile, created_at AS createdAt,
       created_by AS createdBy, expires_at AS expiresAt, bound_key_hash AS boundKeyHash,
       recovery, needs_approval AS needsApproval, approved_at AS approvedAt, approved_by AS approvedBy
     FROM tickets WHERE id = ?`,
  );
  const findOperator = db.prepare<[Uint8Array], OperatorRow>(
    `SELECT serial, name, role, registered_at AS registeredAt, revoked_at AS revokedAt
     FROM operators WHERE serial = ?`,
  );
  return {
    findToken: (id) =>
      call(() => {
        const row = findToken.get(id);
        return row && toToken(row);
      }),
    listTokens: (page) =>
      call(() => {
        const rows = listTokens.all(parseIdCursor('tokens', page) ?? 0, page.limit + 1);
        return toPage(rows, page.limit, toToken, ({ seq }) => encodeCursor('tokens', seq));
      }),
    findTicket: (id) =>
      call(() => {
        const row = findTicket.get(id);
        return row && toTicket(row);
      }),
    findOperator: (serial) =>
      call(() => {
        const row = findOperator.get(serial);
        return row && toOperator(row);
      }),
  };
}

export function credentialWrites({
  db,
  call,
  note,
}: Connection): Omit<CredentialWrites, keyof CredentialReads> {
  const addToken = db.prepare<unknown[]>(
    `INSERT INTO tokens (id, name, role, secret_hash, created_at, created_by, expires_at, revoked_at, profiles,
       serial_pattern, batch, count, used, listeners) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const revokeToken = db.prepare<[number, string]>(
    'UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL',
  );
  const countToken = db.prepare<[number, string]>('UPDATE tokens SET used = used + ? WHERE id = ?');
  const addTicket = db.prepare<unknown[]>(
    `INSERT INTO tickets (id, secret_hash, namespace, serial_number, profile, created_at, created_by, expires_at,
       bound_key_hash, recovery, needs_approval) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const bindTicket = db.prepare<[Uint8Array, string]>(
    'UPDATE tickets SET bound_key_hash = ? WHERE id = ? AND bound_key_hash IS NULL',
  );
  const approveTicket = db.prepare<[number, string, string]>(
    'UPDATE tickets SET approved_at = ?, approved_by = ? WHERE id = ? AND approved_at IS NULL',
  );
  const boundTo = db
    .prepare<[string], Uint8Array | null>('SELECT bound_key_hash FROM tickets WHERE id = ?')
    .pluck();
  const register = db.prepare<unknown[]>(
    'INSERT INTO operators (serial, name, role, registered_at, revoked_at) VALUES (?, ?, ?, ?, ?)',
  );
  return {
    addToken: (token) =>
      call(() => {
        const { id, name, role, secretHash, createdAt, createdBy, expiresAt, revokedAt = null } = token;
        const { profiles, serialPattern = null, batch = null, count = null, used, listeners } = token;
        const texts = (list: readonly string[] | undefined) => (list ? JSON.stringify(list) : null);
        const limits = [texts(profiles), serialPattern, batch, count, used, texts(listeners)];
        addToken.run(id, name, role, secretHash, createdAt, createdBy, expiresAt, revokedAt, ...limits);
      }),
    revokeToken: (name, at) =>
      call(() => {
        const revoked = revokeToken.run(at, name).changes > 0;
        if (revoked) note({ act: 'revokeToken', name, at });
        return revoked;
      }),
    countToken: (id, certificates) =>
      call(() => {
        if (countToken.run(certificates, id).changes === 0) throw unknown('token');
        note({ act: 'countToken', id, certificates });
      }),
    addTicket: (ticket) =>
      call(() => {
        const { id, secretHash, namespace, serialNumber, profile, createdAt, createdBy, expiresAt } = ticket;
        const { boundKeyHash = null, recovery, needsApproval } = ticket;
        const flags = [recovery ? 1 : 0, needsApproval ? 1 : 0];
        const rest = [profile, createdAt, createdBy, expiresAt, boundKeyHash, ...flags];
        addTicket.run(id, secretHash, namespace, serialNumber, ...rest);
      }),
    bindTicket: (id, keyHash) =>
      call(() => {
        if (bindTicket.run(keyHash, id).changes > 0) {
          note({ act: 'bindTicket', id, keyHash: toHex(keyHash) });
          return;
        }
        const bound = boundTo.get(id);
        if (!bound) throw unknown('ticket');
        if (!equalBytes(bound, keyHash)) {
          throw new BirthmarkError('ticket-bound', 'the ticket was used with another key before');
        }
      }),
    approveTicket: (id, by, at) =>
      call(() => {
        approveTicket.run(at, by, id);
      }),
    registerOperator: ({ serial, name, role, registeredAt, revokedAt = null }) =>
      call(() => {
        register.run(serial, name, role, registeredAt, revokedAt);
      }),
  };
}

function toToken(row: TokenRow): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    secretHash: row.secret_hash,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    used: row.used,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
    ...(row.profiles === null ? {} : { profiles: readTexts(row.profiles) }),
    ...(row.listeners === null ? {} : { listeners: readTexts(row.listeners) }),
    ...(row.serial_pattern === null ? {} : { serialPattern: row.serial_pattern }),
    ...(row.batch === null ? {} : { batch: row.batch }),
    ...(row.count === null ? {} : { count: row.count }),
  };
}

function toTicket(row: TicketRow): TicketRecord {
  const { boundKeyHash, recovery, needsApproval, approvedAt, approvedBy, ...rest } = row;
  return {
    ...rest,
    recovery: recovery === 1,
    needsApproval: needsApproval === 1,
    ...(boundKeyHash === null ? {} : { boundKeyHash }),
    ...(approvedAt === null ? {} : { approvedAt }),
    ...(approvedBy === null ? {} : { approvedBy }),
  };
}

function toOperator({ revokedAt, ...row }: OperatorRow): OperatorRecord {
  return revokedAt === null ? row : { ...row, revokedAt };
}

/** Our own writing, see `addToken`. */
function readTexts(json: string): readonly string[] {
  return JSON.parse(json);
}

function unknown(what: 'token' | 'ticket'): BirthmarkError {
  return new BirthmarkError('not-found', `the ledger has no such ${what}`);
}
