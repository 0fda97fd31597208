import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_BEHIND } from '../../src/ca/crl/base.ts';
import { DELTA, FULL } from '../../src/ca/crl/scope.ts';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { toHex } from '../../src/core/bytes.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { nameKey } from '../../src/x509/compare-names.ts';
import { type Crl, type CrlEntry, readCrl } from '../../src/x509/crl-reader.ts';
import { openTestHouse, type TestHouse } from '../house.ts';

const HOUR_MS = 3_600_000;
const REMOVED = 8;

async function read({ ledger }: TestHouse, scope: string, authority = 'idevid'): Promise<Crl> {
  const crl = await ledger.read.findCrl(authority, scope);
  if (!crl) throw new Error(`there is no ${scope} of ${authority}`);
  return readCrl(crl.crl);
}

/** What a verifier makes of both (RFC 5280 §6.3.3). */
function combine(full: Crl, delta: Crl, issuerKey: string, serials: readonly Uint8Array[]) {
  const told = new Map<string, CrlEntry>();
  for (const serial of serials) {
    const entry = delta.find(issuerKey, serial) ?? full.find(issuerKey, serial);
    if (entry && entry.reason !== REMOVED) told.set(toHex(serial), entry);
  }
  return told;
}

function entries(crl: Crl, issuerKey: string, serials: readonly Uint8Array[]) {
  return new Map(
    serials.flatMap((serial) => {
      const entry = crl.find(issuerKey, serial);
      return entry ? [[toHex(serial), entry] as const] : [];
    }),
  );
}

const publish = (house: TestHouse) => publishDueCrls(house.crls, house.clock.now());
const revoke = (house: TestHouse, serial: Uint8Array, act: 'revoke' | 'hold' | 'release' = 'revoke') =>
  house.revoker({ act, by: { kind: 'serial', serial } }, 'system');

const acts = fc.array(
  fc.record({
    act: fc.constantFrom(
      'issue',
      'revoke',
      'revoke',
      'hold',
      'hold',
      'release',
      'release',
      'minutes',
      'hours',
    ),
    which: fc.nat(7),
  }),
  { minLength: 10, maxLength: 40 },
);

test('whatever is done, a full list that is still good and the delta say together what a new full list says', async () => {
  const property = fc.asyncProperty(acts, async (steps) => {
    using house = await openTestHouse({ shards: 2, profiles: { idevid: { validityDays: 1 } } });
    const { clock, ledger } = house;
    const issuerKey = nameKey(house.authorities.get('idevid')?.certificate.tbs.subject ?? Buffer.of());
    await publish(house);
    const fulls: Crl[] = [];
    const keepFull = async () => {
      const full = await read(house, FULL);
      if (fulls.at(-1)?.number !== full.number) fulls.push(full);
      return full;
    };
    const issued = [(await house.grant('SN-0')).serial];
    const combinations = async () => {
      const delta = await read(house, DELTA);
      const held = fulls.filter(({ nextUpdate = 0 }) => nextUpdate >= clock.now());
      for (const { number = 0n } of held) expect(number >= (delta.baseNumber ?? 0n)).toBe(true);
      return held.map((full) => combine(full, delta, issuerKey, issued));
    };
    for (const { act, which } of steps) {
      clock.pass(1500);
      await keepFull();
      if (act === 'issue') issued.push((await house.grant(`SN-${issued.length}`)).serial);
      else if (act === 'minutes' || act === 'hours') {
        clock.pass(act === 'minutes' ? 120_000 : 4 * HOUR_MS);
        await publish(house);
      } else
        await revoke(house, issued[which % issued.length] ?? Buffer.of(0), act).catch((error: unknown) => {
          if (!(error instanceof BirthmarkError && error.code === 'certificate-revoked')) throw error;
        });
      const statuses = await ledger.read.findStatuses('idevid', issued);
      for (const told of await combinations())
        for (const [at, status] of statuses.entries()) {
          const record = status.status === 'revoked' ? status.revocation : undefined;
          // Of those that ended a list may be silent.
          if (record && record.notAfter < clock.now()) continue;
          expect(told.get(toHex(issued[at] ?? Buffer.of()))?.revokedAt).toBe(record?.revokedAt);
        }
    }
    clock.pass(5 * HOUR_MS);
    await publish(house);
    const newest = await keepFull();
    expect((await read(house, DELTA)).number).toBe(newest.number);
    for (const told of await combinations()) expect(told).toEqual(entries(newest, issuerKey, issued));
  });
  await fc.assert(property, { numRuns: 12, seed: 5 });
});

describe('a delta', () => {
  test('is there from the first minute for every authority, empty, behind a full list that was published', async () => {
    using house = await openTestHouse();
    await publish(house);
    for (const name of house.authorities.keys()) {
      const [full, delta] = [await read(house, FULL, name), await read(house, DELTA, name)];
      expect([delta.baseNumber, delta.number, full.number]).toEqual([1n, 2n, 2n]);
      expect([delta.size, delta.thisUpdate, delta.nextUpdate]).toEqual([0, full.thisUpdate, full.nextUpdate]);
      expect(delta.scope).toBe(full.scope);
    }
  });

  test('tells at once, with a number of its own; the full list that follows shares its number with the next delta', async () => {
    using house = await openTestHouse();
    await publish(house);
    const { serial } = await house.grant('SN-1');
    house.clock.pass(10_000);
    await revoke(house, serial);
    expect([(await read(house, DELTA)).number, (await read(house, FULL)).number]).toEqual([3n, 2n]);
    house.clock.pass(60_000);
    await publish(house);
    const [full, delta] = [await read(house, FULL), await read(house, DELTA)];
    expect([full.number, delta.number, delta.baseNumber]).toEqual([4n, 4n, 1n]);
    expect([full.size, delta.size]).toEqual([1, 1]);
  });

  test('takes what was released from the list, and what ended one issue after its end', async () => {
    using house = await openTestHouse({ profiles: { idevid: { validityDays: 1 } } });
    await publish(house);
    const issuerKey = nameKey(house.authorities.get('idevid')?.certificate.tbs.subject ?? Buffer.of());
    const [held, ending] = [(await house.grant('SN-1')).serial, (await house.grant('SN-2')).serial];
    await revoke(house, held, 'hold');
    await revoke(house, ending);
    expect((await read(house, DELTA)).find(issuerKey, held)?.reason).toBe(6);
    house.clock.pass(5000);
    await revoke(house, held, 'release');
    expect((await read(house, DELTA)).find(issuerKey, held)?.reason).toBe(REMOVED);
    const reasons: (number | undefined)[] = [];
    for (let issue = 0; issue < 9; issue += 1) {
      house.clock.pass(5 * HOUR_MS);
      await publish(house);
      reasons.push((await read(house, DELTA)).find(issuerKey, ending)?.reason);
    }
    // After 24 hours it has ended; it stays until a list was issued beyond that, is taken off, and then nothing is left to tell.
    expect(reasons).toContain(REMOVED);
    expect(reasons.at(-1)).toBeUndefined();
    expect((await read(house, FULL)).find(issuerKey, ending)).toBeUndefined();
  });

  test('of a fleet in which more is revoked than a delta should tell starts from a new full list, and one revocation does not wait for it', async () => {
    using house = await openTestHouse();
    await publish(house);
    const { serial } = await house.grant('SN-1');
    const id = (await house.ledger.read.findBySerial(serial))?.id ?? 0;
    const now = house.clock.now();
    await house.ledger.write(async (tx) => {
      for (let at = 0; at <= MOST_BEHIND; at += 1)
        await tx.putRevocations([
          {
            id,
            serial,
            authority: 'idevid',
            shard: 0,
            notAfter: now + HOUR_MS,
            held: true,
            revokedAt: now,
            discoveredAt: now,
            decidedAt: now,
            recordedAt: now,
            by: 'system',
          },
        ]);
    });
    const other = (await house.grant('SN-2')).serial;
    expect(await revoke(house, other)).toMatchObject({ published: true });
    expect((await read(house, DELTA)).number).toBe(2n);
    house.clock.pass(5000);
    await publish(house);
    expect([(await read(house, FULL)).number, (await read(house, DELTA)).number]).toEqual([3n, 3n]);
    await revoke(house, (await house.grant('SN-3')).serial);
    const delta = await read(house, DELTA);
    expect([delta.baseNumber, delta.number, delta.size]).toEqual([3n, 4n, 1]);
  });
});

describe('an issuingDistributionPoint in full lists', () => {
  const idpOf = async (house: TestHouse, scope: string, authority = 'idevid') =>
    (await read(house, scope, authority)).distributionPoint;

  test('is not there unless the configuration says so', async () => {
    using house = await openTestHouse();
    await publish(house);
    expect([await idpOf(house, FULL), await idpOf(house, DELTA)]).toEqual([undefined, undefined]);
    expect(await idpOf(house, '0')).toMatchObject({ onlyContainsUserCerts: true });
  });

  test('comes into both when it is switched on, and no delta starts from a list without', async () => {
    using house = await openTestHouse();
    await publish(house);
    const changed = {
      ...house,
      crls: { ...house.crls, policy: { ...house.crls.policy, idp: 'always' as const } },
    };
    house.clock.pass(5000);
    await publish(changed);
    for (const scope of [FULL, DELTA])
      expect(await idpOf(house, scope)).toMatchObject({ name: undefined, onlyContainsUserCerts: true });
    expect(await idpOf(house, FULL, 'root')).toMatchObject({
      name: { form: 'full' },
      onlyContainsUserCerts: false,
    });
    expect((await read(house, DELTA)).baseNumber).toBe(3n);
  });
});
