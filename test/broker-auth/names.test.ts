import { describe, expect, test } from 'vitest';
import { assembleGate } from '../../src/broker-auth/assemble-gate.ts';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import type { StatusMode } from '../../src/broker-auth/policy.ts';
import { NameTable } from '../../src/broker-auth/status/name-table.ts';
import { makeMaker, reasonOf } from './lab.ts';

const issuerKeyId = 'ab'.repeat(20);
const holder = (others: boolean) => ({ namespace: 'own', serialNumber: 'dev1', others });

describe('a name', () => {
  test.each([
    ['nothing was told', [], undefined],
    ['its only certificate was revoked', [['revoked', false]], 'revoked'],
    ['it is held', [['held', false]], 'held'],
    ['one of two was revoked', [['revoked', true]], undefined],
    [
      'it was held and released',
      [
        ['held', false],
        ['good', false],
      ],
      undefined,
    ],
    [
      'both were revoked, one after the other',
      [
        ['revoked', true],
        ['revoked', false],
      ],
      'revoked',
    ],
  ] as const)('where %s', (_title, told, status) => {
    const names = new NameTable();
    for (const [word, others] of told) names.take({ issuerKeyId, status: word, holder: holder(others) });
    expect(names.statusOf({ namespace: 'own', id: 'dev1' })).toBe(status);
    expect(names.statusOf({ namespace: 'acme', id: 'dev1' })).toBeUndefined();
  });
  test('of two authorities stands on neither once one has taken back its last', () => {
    const names = new NameTable();
    names.take({ issuerKeyId, status: 'revoked', holder: holder(false) });
    names.take({ issuerKeyId: 'cd'.repeat(20), status: 'held', holder: holder(false) });
    names.take({ issuerKeyId, status: 'revoked', holder: holder(true) });
    expect(names.statusOf({ namespace: 'own', id: 'dev1' })).toBe('held');
  });
});

describe('a client that shows a name only', () => {
  const NOW = 1_000_000_000;
  const connect = (
    mode: StatusMode,
    known: { status: 'good' | 'revoked' | 'held'; ageMs: number } | undefined,
  ) => {
    const trust = [makeMaker('own').trust];
    const preset = { hard: 'transport', soft: 'private-network', off: 'open' } as const;
    const listeners = {
      mqtt: { preset: preset[mode], evidence: 'name' as const, status: mode, maxStatusAgeSeconds: 60 },
    };
    const { gate } = assembleGate({
      policy: parsePolicy({ listeners, roles: [{ name: 'device' }] }, trust),
      sources: [],
      names: { statusOf: () => known },
      drivers: [],
      clock: () => NOW,
      random: (size) => new Uint8Array(size),
      onError: () => undefined,
    });
    const attempt = { broker: 'b', listener: 'mqtt', clientId: 'dev1', address: '192.0.2.1' };
    return reasonOf(gate.connect({ ...attempt, evidence: { level: 'name', name: 'dev1' } }));
  };
  test.each([
    ['hard', { status: 'good', ageMs: 0 }, 'ok'],
    ['hard', { status: 'good', ageMs: 60_001 }, 'statusUnknown'],
    ['hard', { status: 'revoked', ageMs: 60_001 }, 'revoked'],
    ['hard', { status: 'held', ageMs: 0 }, 'onHold'],
    ['hard', undefined, 'statusUnknown'],
    ['soft', { status: 'good', ageMs: 60_001 }, 'ok'],
    ['soft', { status: 'revoked', ageMs: 60_001 }, 'revoked'],
    ['soft', undefined, 'ok'],
    ['off', { status: 'revoked', ageMs: 0 }, 'ok'],
  ] as const)('%s, known %j: %s', (mode, known, reason) => {
    expect(connect(mode, known)).toBe(reason);
  });
});
