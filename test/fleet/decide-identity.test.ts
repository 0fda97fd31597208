import { describe, expect, test } from 'vitest';
import { parseProfile } from '../../src/ca/parse-profile.ts';
import type { CertificateRecord, KeyRecord } from '../../src/ca/ports.ts';
import type { Profile } from '../../src/ca/profile.ts';
import type { RevocationRecord } from '../../src/ca/revocation/ports.ts';
import { decideIdentity, type KnownIdentity } from '../../src/fleet/decide-identity.ts';
import type { DeviceRecord } from '../../src/fleet/ports.ts';
import { BEGINNING, testProfiles } from '../house.ts';

const profiles = new Map<string, Profile>(
  testProfiles({
    other: {},
    reuse: { kind: 'ldevid', extendedKeyUsage: ['clientAuth'], validityDays: 1, newKey: false },
  }).map(([name, config]) => [name, parseProfile(name, config, ['idevid', 'ldevid', 'service'])]),
);
const IDEVIDS = new Set(['idevid', 'other']);

const KEY_A = Buffer.alloc(32, 0xa);
const KEY_B = Buffer.alloc(32, 0xb);
const NOW = BEGINNING;

const device: DeviceRecord = {
  id: 7,
  namespace: 'own',
  serialNumber: 'SN-1',
  state: 'manufactured',
  createdAt: NOW,
  rebirthAllowed: false,
  ticketsAfter: 0,
};
const ownKey: KeyRecord = { keyHash: KEY_A, deviceId: 7 };

function certificate(profile: string, keyHash: Uint8Array, notAfter = NOW + 1): CertificateRecord {
  return {
    id: 1,
    serial: Uint8Array.of(1),
    authority: 'idevid',
    deviceId: 7,
    profile,
    keyHash,
    notBefore: NOW - 1,
    notAfter,
    shard: 0,
    tbs: new Uint8Array(),
    vouchedBy: 'token:1',
    holder: 'SN-1',
    reservedAt: NOW - 1,
  };
}

/** `issue`, `issue by rebirth`, `repeat`, or the code of the refusal, with `!` where it is an incident. */
function decide(profileName: string, known: Partial<KnownIdentity>, key = KEY_A, issuer?: string): string {
  const profile = profiles.get(profileName);
  if (!profile) throw new Error(`there is no profile ${profileName}`);
  const verdict = decideIdentity(
    profile,
    key,
    { certificates: [], revocations: new Map(), ...known },
    IDEVIDS,
    NOW,
    undefined,
    issuer,
  );
  if (verdict.kind === 'issue') return verdict.usesRebirth ? 'issue by rebirth' : 'issue';
  if (verdict.kind === 'repeat') return 'repeat';
  return verdict.error.code + (verdict.incident ? '!' : '');
}

describe('a certificate that was taken back', () => {
  const takenBack = (more: Partial<RevocationRecord>): Partial<KnownIdentity> => {
    const revocation: RevocationRecord = {
      id: 1,
      serial: Uint8Array.of(1),
      authority: 'idevid',
      shard: 0,
      notAfter: NOW + 1,
      held: false,
      revokedAt: NOW,
      discoveredAt: NOW,
      decidedAt: NOW,
      recordedAt: NOW,
      by: 'operator:test',
      ...more,
    };
    return { device, key: ownKey, revocations: new Map([[1, revocation]]) };
  };

  test.each([
    ['superseded', { reason: 'superseded' }, 'issue'],
    ['without a reason', {}, 'issue'],
    ['since the holder may no longer', { reason: 'privilegeWithdrawn' }, 'certificate-revoked'],
    ['since it is at its end', { reason: 'cessationOfOperation' }, 'certificate-revoked'],
    ['for a while', { held: true }, 'certificate-held'],
  ] as const)('%s: its key gets no such LDevID again, or another one', (_title, more, verdict) => {
    const known = { ...takenBack(more), certificates: [certificate('ldevid', KEY_A)] };
    expect(decide('ldevid', known)).toBe(verdict);
    expect(decide('ldevid', { ...known, revocations: new Map() })).toBe('repeat');
    expect(decide('ldevid', known, KEY_B)).toBe(
      decide('ldevid', { ...known, revocations: new Map() }, KEY_B),
    );
  });

  test('that was an IDevID is followed by another one only where an operator allows it', () => {
    const known = { ...takenBack({ reason: 'superseded' }), certificates: [certificate('idevid', KEY_A)] };
    expect(decide('idevid', known)).toBe('certificate-revoked');
    expect(decide('idevid', { ...known, device: { ...device, rebirthAllowed: true } })).toBe(
      'issue by rebirth',
    );
  });
});

test('a new device with a new key is born', () => {
  expect(decide('idevid', {})).toBe('issue');
  expect(decide('ldevid', {})).toBe('issue');
});

describe('a key', () => {
  test.each<[string, string, Partial<KnownIdentity>, string]>([
    [
      'of another device is refused, and is an incident',
      'idevid',
      { key: { keyHash: KEY_A, deviceId: 8 }, device },
      'key-in-use!',
    ],
    [
      'of another device is refused to a device never seen',
      'idevid',
      { key: { keyHash: KEY_A, deviceId: 8 } },
      'key-in-use!',
    ],
    [
      'of an authority is refused, and is an incident',
      'idevid',
      { key: { keyHash: KEY_A, holder: 'authority:root' }, device },
      'key-in-use!',
    ],
    [
      'that was seen and has no owner is refused',
      'idevid',
      { key: { keyHash: KEY_A }, device },
      'key-in-use!',
    ],
    ['of its own is taken', 'idevid', { key: ownKey, device }, 'issue'],
    [
      'of its own that is blocked is refused',
      'idevid',
      { key: { ...ownKey, blocked: 'leaked' }, device },
      'key-blocked',
    ],
    [
      'that is blocked is refused even where its certificate lives',
      'idevid',
      { key: { ...ownKey, blocked: 'leaked' }, device, certificates: [certificate('idevid', KEY_A)] },
      'key-blocked',
    ],
    [
      'of another device that is blocked is refused as blocked',
      'idevid',
      { key: { keyHash: KEY_A, deviceId: 8, blocked: 'leaked' } },
      'key-blocked',
    ],
  ])('%s', (_title, profile, known, verdict) => {
    expect(decide(profile, known)).toBe(verdict);
  });
});

describe('the same certificate again', () => {
  const known = (certificates: readonly CertificateRecord[]) => ({ device, key: ownKey, certificates });

  test.each([
    ['for the same device, key and profile', [certificate('idevid', KEY_A)], 'repeat'],
    ['not in the millisecond in which it ends', [certificate('ldevid', KEY_A, NOW)], 'issue', 'ldevid'],
    ['still in the millisecond before', [certificate('ldevid', KEY_A, NOW + 1)], 'repeat', 'ldevid'],
    ['not for another profile', [certificate('reuse', KEY_A)], 'key-in-use', 'ldevid'],
    [
      'also after a rebirth with another key',
      [certificate('idevid', KEY_A), certificate('idevid', KEY_B)],
      'repeat',
    ],
  ] as const)('%s', (_title, certificates, verdict, profile: string = 'idevid') => {
    expect(decide(profile, known(certificates))).toBe(verdict);
  });

  test('is that of the key that asks', () => {
    const idevid = profiles.get('idevid');
    if (!idevid) throw new Error('no profile');
    const [a, b] = [certificate('idevid', KEY_A), { ...certificate('idevid', KEY_B), id: 2 }];
    const key: KeyRecord = { keyHash: KEY_B, deviceId: 7 };
    expect(
      decideIdentity(
        idevid,
        KEY_B,
        { device, key, certificates: [a, b], revocations: new Map() },
        IDEVIDS,
        NOW,
      ),
    ).toMatchObject({
      certificate: { id: 2 },
    });
  });
});

describe('a device that has its IDevID', () => {
  const born = { device, certificates: [certificate('idevid', KEY_B)] };

  test.each<[string, string, Partial<KnownIdentity>, string]>([
    ['and comes with another key is refused', 'idevid', born, 'device-already-born'],
    ['under another IDevID profile is refused too', 'other', born, 'device-already-born'],
    [
      'may once where an operator allowed it',
      'idevid',
      { ...born, device: { ...device, rebirthAllowed: true } },
      'issue by rebirth',
    ],
    ['may have an LDevID', 'ldevid', born, 'issue'],
    [
      'whose IDevID has ended is refused too',
      'idevid',
      { device, certificates: [certificate('idevid', KEY_B, NOW - 1)] },
      'device-already-born',
    ],
    [
      "may not come with another device's key where rebirth is allowed",
      'idevid',
      { ...born, device: { ...device, rebirthAllowed: true }, key: { keyHash: KEY_A, deviceId: 8 } },
      'key-in-use!',
    ],
  ])('%s', (_title, profile, known, verdict) => {
    expect(decide(profile, known)).toBe(verdict);
  });

  test('a permission that is not needed is not used up', () => {
    expect(decide('idevid', { device: { ...device, rebirthAllowed: true } })).toBe('issue');
  });
});

describe('a new key', () => {
  test.each<[string, string, readonly CertificateRecord[], string]>([
    ['is wanted by a profile that says so', 'ldevid', [certificate('idevid', KEY_A)], 'key-in-use'],
    [
      'is wanted even where the other certificate has ended',
      'ldevid',
      [certificate('idevid', KEY_A, NOW - 1)],
      'key-in-use',
    ],
    ['is not wanted by one that does not', 'reuse', [certificate('idevid', KEY_A)], 'issue'],
    ['is one that no other certificate has', 'ldevid', [certificate('idevid', KEY_B)], 'issue'],
  ])('%s', (_title, profile, certificates, verdict) => {
    expect(decide(profile, { device, key: ownKey, certificates })).toBe(verdict);
  });
});

describe('a certificate that follows another', () => {
  const ldevid = profiles.get('ldevid');
  if (!ldevid) throw new Error('no profile');
  const first = { ...certificate('ldevid', KEY_A), serial: Uint8Array.of(1) };
  const second = { ...certificate('ldevid', KEY_A), id: 2, serial: Uint8Array.of(2) };
  const decideAfter = (
    certificates: readonly CertificateRecord[],
    renewed: Uint8Array | undefined,
    keyHash = KEY_A,
  ): string => {
    const known = { device, key: { keyHash, deviceId: 7 }, certificates, revocations: new Map() };
    const verdict = decideIdentity(ldevid, keyHash, known, IDEVIDS, NOW, renewed);
    if (verdict.kind === 'refuse') return verdict.error.code;
    return verdict.kind === 'repeat' ? `repeat ${verdict.certificate.id}` : verdict.kind;
  };

  test.each<[string, readonly CertificateRecord[], Uint8Array | undefined, string]>([
    ['is issued for the same key', [first], first.serial, 'issue'],
    ['is not where it follows none: that one comes again', [first], undefined, 'repeat 1'],
    ['is issued once: who asks again has it', [first, second], first.serial, 'repeat 2'],
    ['is issued after the one that followed', [first, second], second.serial, 'issue'],
    [
      'is issued again where it has ended itself',
      [first, { ...second, notAfter: NOW }],
      first.serial,
      'issue',
    ],
    ['comes after one that has ended', [{ ...first, notAfter: NOW }], first.serial, 'issue'],
  ])('%s', (_title, certificates, renewed, verdict) => {
    expect(decideAfter(certificates, renewed)).toBe(verdict);
  });

  test('is issued for a new key, and once for each', () => {
    const followed = { ...certificate('ldevid', KEY_B), id: 3, serial: Uint8Array.of(3) };
    expect(decideAfter([first], first.serial, KEY_B)).toBe('issue');
    expect(decideAfter([first, followed], first.serial, KEY_B)).toBe('repeat 3');
  });

  test('is refused the key of the IDevID all the same', () => {
    expect(decideAfter([certificate('idevid', KEY_B), first], first.serial, KEY_B)).toBe('key-in-use');
  });
});

describe('once another generation issues', () => {
  const known = (profile: string): Partial<KnownIdentity> => {
    const issued = { ...certificate(profile, KEY_A), authority: profile };
    return { certificates: [issued], device, key: ownKey };
  };

  test('an LDevID of the one before is not given again, where one of the same is', () => {
    expect(decide('ldevid', known('ldevid'), KEY_A, 'ldevid-2')).toBe('issue');
    expect(decide('ldevid', known('ldevid'), KEY_A, 'ldevid')).toBe('repeat');
  });

  test('an IDevID is, since a device is born once', () => {
    expect(decide('idevid', known('idevid'), KEY_A, 'idevid-2')).toBe('repeat');
  });
});
