import type { AuditReads, AuditRecord, AuditWrites, Incident, StoredAuditRecord } from '../../core/audit.ts';
import type { Connection } from './connection.ts';
import { encodeCursor, parseIdCursor, toPage } from './cursor.ts';

type Facts = Incident['facts'];

interface AuditRow extends Omit<AuditRecord, 'facts'> {
  readonly id: number;
  readonly facts: string | null;
}

interface IncidentRow extends Omit<Incident, 'facts'> {
  readonly id: number;
  readonly facts: string;
}

export function auditReads({ db, call }: Connection): AuditReads {
  const list = db.prepare<[number, number], AuditRow>(
    'SELECT id, at, actor, action, subject, outcome, facts FROM audit WHERE id > ? ORDER BY id LIMIT ?',
  );
  const incidents = db.prepare<[number, number], IncidentRow>(
    'SELECT id, at, kind, subject, facts FROM incidents WHERE id > ? ORDER BY id LIMIT ?',
  );
  return {
    listAudit: (page) =>
      call(() => {
        const rows = list.all(parseIdCursor('audit', page) ?? 0, page.limit + 1);
        return toPage(rows, page.limit, toAuditRecord, ({ id }) => encodeCursor('audit', id));
      }),
    listIncidents: (page) =>
      call(() => {
        const rows = incidents.all(parseIdCursor('incidents', page) ?? 0, page.limit + 1);
        return toPage(rows, page.limit, toIncident, ({ id }) => encodeCursor('incidents', id));
      }),
  };
}

export function auditWrites({ db, call }: Connection): AuditWrites {
  const append = db.prepare<[number, string, string, string, string, string | null]>(
    'INSERT INTO audit (at, actor, action, subject, outcome, facts) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const appendIncident = db.prepare<[number, string, string, string]>(
    'INSERT INTO incidents (at, kind, subject, facts) VALUES (?, ?, ?, ?)',
  );
  return {
    appendAudit: (records) =>
      call(() => {
        for (const { at, actor, action, subject, outcome, facts } of records) {
          append.run(at, actor, action, subject, outcome, facts ? JSON.stringify(facts) : null);
        }
      }),
    appendIncidents: (incidents) =>
      call(() => {
        for (const { at, kind, subject, facts } of incidents) {
          appendIncident.run(at, kind, subject, JSON.stringify(facts));
        }
      }),
  };
}

function toAuditRecord({ facts, ...row }: AuditRow): StoredAuditRecord {
  return facts === null ? row : { ...row, facts: readFacts(facts) };
}

function toIncident({ facts, ...row }: IncidentRow): Incident & { readonly id: number } {
  return { ...row, facts: readFacts(facts) };
}

/** Our own writing, see `appendAudit`. */
function readFacts(json: string): Facts {
  return JSON.parse(json);
}
