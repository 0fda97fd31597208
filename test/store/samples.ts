import { createHash } from 'node:crypto';
import type { Reservation } from '../../src/ca/ports.ts';
import type { RevocationRecord } from '../../src/ca/revocation/ports.ts';
import type { AuditRecord } from '../../src/core/audit.ts';
import type { OperatorRecord, TicketRecord, TokenRecord } from '../../src/enroll/ports.ts';
import type { NewDevice } from '../../src/fleet/ports.ts';

export const NOW = Date.UTC(2026, 10, 22, 12);
/** 99991231235959Z of RFC 5280 §4.1.2.5, as milliseconds. */
const NO_EXPIRY = Date.UTC(9999, 11, 31, 23, 59, 59);

/** The SHA-256 that stands for a key in tests. */
export function hashOf(name: string): Buffer {
  return createHash('sha256').update(name).digest();
}

/** 16 octets: the time, then what the name makes of it. */
export function serialOf(name: string, at = NOW): Buffer {
  const serial = hashOf(`serial ${name}`).subarray(0, 16);
  serial.writeUIntBE(at, 0, 6);
  return serial;
}

export function device(serialNumber: string, more: Partial<NewDevice> = {}): NewDevice {
  return { namespace: 'own', serialNumber, state: 'manufactured', createdAt: NOW, ...more };
}

export function reservation(name: string, more: Partial<Reservation> = {}): Reservation {
  return {
    serial: serialOf(name),
    authority: 'idevid',
    deviceId: null,
    profile: 'idevid',
    keyHash: hashOf(name),
    notBefore: NOW,
    notAfter: NO_EXPIRY,
    shard: 3,
    tbs: Buffer.from(`to be signed: ${name}`),
    vouchedBy: 'token:0123456789abcdef',
    holder: name,
    reservedAt: NOW,
    ...more,
  };
}

export function revocation(id: number, name: string, more: Partial<RevocationRecord> = {}): RevocationRecord {
  return {
    id,
    serial: serialOf(name),
    authority: 'idevid',
    shard: 3,
    notAfter: NO_EXPIRY,
    held: false,
    revokedAt: NOW,
    discoveredAt: NOW - 2,
    decidedAt: NOW - 1,
    recordedAt: NOW,
    by: 'operator:anna',
    ...more,
  };
}

export function audit(subject: string, more: Partial<AuditRecord> = {}): AuditRecord {
  return { at: NOW, actor: 'system', action: 'certificate.issue', subject, outcome: 'done', ...more };
}

export function token(name: string, more: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: hashOf(`token ${name}`).toString('hex').slice(0, 16),
    name,
    role: 'factory',
    secretHash: hashOf(`secret of ${name}`),
    createdAt: NOW,
    createdBy: 'operator:anna',
    expiresAt: NOW + 1000,
    used: 0,
    ...more,
  };
}

export function ticket(id: string, more: Partial<TicketRecord> = {}): TicketRecord {
  return {
    id,
    secretHash: hashOf(`secret of ${id}`),
    namespace: 'own',
    serialNumber: 'SN-1',
    profile: 'ldevid',
    createdAt: NOW,
    createdBy: 'operator:anna',
    expiresAt: NOW + 1000,
    recovery: false,
    needsApproval: false,
    ...more,
  };
}

export function operator(name: string, more: Partial<OperatorRecord> = {}): OperatorRecord {
  return { serial: serialOf(name), name, role: 'operator', registeredAt: NOW, ...more };
}
