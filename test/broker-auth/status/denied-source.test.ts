import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildBase, DeniedOverlay } from '../../../src/broker-auth/adapters/mosquitto/denied-set.ts';
import { StatusTable } from '../../../src/broker-auth/index.ts';
import { deniedChanges, deniedSource } from '../../../src/broker-auth/status/denied-source.ts';
import type { ReadSnapshot } from '../../../src/broker-auth/status/read-snapshot.ts';
import { createSteadyClock } from '../../../src/core/steady-clock.ts';

const clock = () => 5000;
const steady = createSteadyClock(clock, clock);
const digestOf = (text: string) => hash('sha256', text, 'hex');
const ISSUER = 'ab'.repeat(20);
const AT = '2026-01-02T03:04:05.678Z';

function change(
  sequence: number,
  number: number,
  status: 'revoked' | 'held' | 'good',
  reason?: string | undefined,
) {
  const serial = `00${number.toString(16).padStart(4, '0')}`;
  const keyHash = digestOf(String(number));
  const told = { sequence, authority: 'ldevid', issuerKeyId: ISSUER, serial, keyHash, status, at: AT };
  return reason === undefined ? told : { ...told, reason };
}

function snapshotOf(table: StatusTable): ReadSnapshot {
  const authorities = [{ name: 'ldevid', issuerKeyId: ISSUER, keyHash: digestOf('ca') }];
  return {
    table,
    header: {
      ...{ format: 'birthmark-status-snapshot', version: 1, epoch: 'e', sequence: 0 },
      ...{ issuedAt: AT, validUntil: AT, endedBefore: AT, authorities },
    },
  };
}

const acts = fc.array(
  fc.record({
    number: fc.nat(2000),
    status: fc.constantFrom('revoked' as const, 'held' as const, 'good' as const),
    reason: fc.constantFrom(undefined, 'keyCompromise', 'superseded'),
  }),
  { maxLength: 300 },
);

describe('what the feed told, as all that is denied', () => {
  test('is the same whether it is read as a whole or heard change by change', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (all) => {
        const table = new StatusTable({ epoch: 'e', sequence: 0 }, 1000);
        const overlay = new DeniedOverlay();
        for (const [at, { number, status, reason }] of all.entries()) {
          const told = change(at + 1, number, status, reason);
          table.apply(told);
          for (const one of deniedChanges(told)) overlay.put(one);
        }
        const source = deniedSource(() => snapshotOf(table), clock, steady);
        const heard = (['certificate', 'key'] as const).map((kind) => overlay.digests(kind, true));
        const base = await buildBase(source.denied());
        const lengths = heard.map((digests) => {
          const length = Buffer.alloc(4);
          length.writeUInt32BE(digests.length / 16);
          return Buffer.concat([length, digests]);
        });
        expect(base.subarray(8)).toEqual(Buffer.concat(lengths));
        for (const { number } of all) {
          const { issuerKeyId, serial, keyHash } = change(0, number, 'good');
          const standing = table.statusOf({
            issuerKeyId: Buffer.from(issuerKeyId, 'hex'),
            serial: Buffer.from(serial, 'hex'),
            keyHash: Buffer.from(keyHash, 'hex'),
          });
          expect(source.isDenied({ issuerKeyId, serial, keyHash })).toBe(standing.status !== 'good');
        }
      }),
    );
  });

  test('has all that it had when it was begun, however much comes while it is read', () => {
    const table = new StatusTable({ epoch: 'e', sequence: 0 }, 1000);
    for (let at = 1; at <= 700; at += 1) table.apply(change(at, at, 'revoked'));
    const denied = table.denied();
    const first = [denied.next().value];
    // The table grows under it.
    for (let at = 701; at <= 5000; at += 1) table.apply(change(at, at, 'revoked'));
    const rest = [...denied];
    const read = new Set(
      [...first, ...rest].map((entry) => entry && Buffer.from(entry.digest).toString('hex')),
    );
    for (let at = 1; at <= 700; at += 1) {
      const [{ digest } = { digest: Buffer.alloc(0) }] = deniedChanges(change(at, at, 'revoked'));
      expect(read.has(Buffer.from(digest).toString('hex'))).toBe(true);
    }
  });

  test('is as old as can be, and knows no CA, while nothing was told', () => {
    const source = deniedSource(() => undefined, clock, steady);
    expect(source.position()).toEqual({ epoch: 'none', sequence: 0, asOf: 0 });
    expect([...source.denied()]).toEqual([]);
    expect(source.knowsIssuer(ISSUER)).toBe(false);
  });

  test('is as old as whole milliseconds say, whatever the steady clock counts in', () => {
    const counting = createSteadyClock(
      () => 5000,
      () => 0.25,
    );
    const table = new StatusTable({ epoch: 'e', sequence: 3 }, 1000.6);
    const source = deniedSource(
      () => snapshotOf(table),
      () => 5000,
      counting,
    );
    expect(source.position().asOf).toBe(1000);
  });

  test('knows the CAs that the snapshot names, and no others', () => {
    const source = deniedSource(
      () => snapshotOf(new StatusTable({ epoch: 'e', sequence: 3 }, 1000)),
      clock,
      steady,
    );
    expect(source.position()).toEqual({ epoch: 'e', sequence: 3, asOf: 1000 });
    expect(source.knowsIssuer(ISSUER)).toBe(true);
    expect(source.knowsIssuer('cd'.repeat(20))).toBe(false);
  });
});
