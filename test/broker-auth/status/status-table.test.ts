import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StatusTable } from '../../../src/broker-auth/index.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';

const EPOCH = 'e';
const AT = '2026-01-02T03:04:05.678Z';

function certificate(number: number) {
  const serial = Buffer.alloc(8);
  serial.writeUInt32BE(number, 4);
  return {
    issuerKeyId: hash('sha1', 'issuer', 'buffer'),
    serial,
    keyHash: hash('sha256', `${number}`, 'buffer'),
  };
}

function change(sequence: number, number: number, status: 'revoked' | 'held' | 'good', reason?: string) {
  const { issuerKeyId, serial, keyHash } = certificate(number);
  return {
    sequence,
    authority: 'idevid',
    issuerKeyId: issuerKeyId.toString('hex'),
    serial: serial.toString('hex'),
    keyHash: keyHash.toString('hex'),
    status,
    ...(reason && { reason }),
    at: AT,
  };
}

const newTable = () => new StatusTable({ epoch: EPOCH, sequence: 0 }, 1000);

function codeOf(act: () => void): string {
  try {
    act();
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
  return 'accepted';
}

test('says what a plain map would say, whatever happens in whatever order', () => {
  const acts = fc.array(
    fc.record({
      number: fc.nat(30),
      status: fc.constantFrom('revoked' as const, 'held' as const, 'good' as const),
      reason: fc.constantFrom(undefined, 'keyCompromise', 'superseded'),
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(acts, (all) => {
      const table = newTable();
      const model = new Map<number, { status: string; reason?: string | undefined }>();
      const blocked = new Set<number>();
      for (const [at, { number, status, reason }] of all.entries()) {
        const why = status === 'revoked' ? reason : undefined;
        table.apply(change(at + 1, number, status, why));
        model.set(number, { status, reason: why });
        if (why === 'keyCompromise') blocked.add(number);
      }
      for (let number = 0; number <= 30; number += 1) {
        const told = table.statusOf(certificate(number));
        const wanted = model.get(number) ?? { status: 'good' };
        if (wanted.status !== 'good')
          expect(told).toMatchObject({ status: wanted.status, because: 'certificate' });
        else if (blocked.has(number)) expect(told).toMatchObject({ status: 'revoked', because: 'key' });
        else expect(told).toEqual({ status: 'good' });
      }
    }),
  );
});

test('tells reason and time', () => {
  const table = newTable();
  table.apply(change(1, 1, 'revoked', 'privilegeWithdrawn'));
  expect(table.statusOf(certificate(1))).toEqual({
    status: 'revoked',
    reason: 'privilegeWithdrawn',
    at: Math.floor(Date.parse(AT) / 1000) * 1000,
    because: 'certificate',
  });
});

test('takes a serial number with a leading zero for the same', () => {
  const table = newTable();
  table.apply({ ...change(1, 1, 'revoked'), serial: '00f0' });
  expect(table.statusOf({ ...certificate(1), serial: Buffer.from('f0', 'hex') }).status).toBe('revoked');
  expect(table.statusOf({ ...certificate(1), serial: Buffer.from('f000', 'hex') }).status).toBe('good');
});

describe('the order', () => {
  test('of changes is kept: one that came already is harmless, one that is missing is a fault', () => {
    const table = newTable();
    table.apply(change(1, 1, 'held'));
    table.apply(change(2, 1, 'good'));
    table.apply(change(1, 1, 'held'));
    expect(table.statusOf(certificate(1)).status).toBe('good');
    expect(codeOf(() => table.apply(change(4, 1, 'revoked')))).toBe('feed-broken');
    expect(table.position).toEqual({ epoch: EPOCH, sequence: 2 });
  });

  test('a position that is ours makes it fresher; another one is a fault', () => {
    const table = newTable();
    table.confirm({ epoch: EPOCH, sequence: 0 }, 5000);
    expect(table.asOf).toBe(5000);
    table.confirm({ epoch: EPOCH, sequence: 0 }, 4000);
    expect(table.asOf).toBe(5000);
    expect(codeOf(() => table.confirm({ epoch: EPOCH, sequence: 1 }, 6000))).toBe('feed-broken');
    expect(codeOf(() => table.confirm({ epoch: 'f', sequence: 0 }, 6000))).toBe('feed-broken');
    expect(table.asOf).toBe(5000);
  });
});

test('many entries stay findable, in little memory', () => {
  const table = newTable();
  for (let number = 1; number <= 50_000; number += 1)
    table.apply(change(number, number, 'revoked', 'keyCompromise'));
  for (let number = 1; number <= 50_000; number += 97) {
    expect(table.statusOf(certificate(number)).status).toBe('revoked');
    expect(table.statusOf(certificate(50_000 + number)).status).toBe('good');
  }
  // Those with a key of their own that is blocked take twice what others do.
  expect(table.octets / 50_000).toBeLessThan(120);
});
