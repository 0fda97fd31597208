import type { Page, PageRequest } from './unit-of-work.ts';

/** Who did an act: `token:line-7`, `ticket:4f2a…`, `operator:anna`, `local` (the home's owner on this machine), `system`. */
export type Actor = string;

/** One act, written in the transaction that does it. Never holds a secret. */
export interface AuditRecord {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly actor: Actor;
  /** What was done: `certificate.issue`, `token.create`, … */
  readonly action: string;
  /** What it was done to: `device:own/SN-1`, `certificate:01ab…`. */
  readonly subject: string;
  /** `done`, or `refused:CODE`. */
  readonly outcome: string;
  /** Facts worth keeping, as short plain values. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
}

export interface StoredAuditRecord extends AuditRecord {
  /** Grows by at least one with every record. */
  readonly id: number;
}

/** Something that a person must look at: a cloned key, a proof of compromise for a CA's key. */
export interface Incident {
  readonly at: number;
  /** `key-in-use`, … */
  readonly kind: string;
  readonly subject: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export interface AuditReads {
  /** Oldest first from the cursor on. */
  listAudit(page: PageRequest): Promise<Page<StoredAuditRecord>>;
  listIncidents(page: PageRequest): Promise<Page<Incident & { readonly id: number }>>;
}

export interface AuditWrites {
  appendAudit(records: readonly AuditRecord[]): Promise<void>;
  appendIncidents(incidents: readonly Incident[]): Promise<void>;
}
