import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { certificateOf, finishReserved, signAndCommit } from '../../src/ca/issue.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import { parseCertificate } from '../../src/x509/certificate.ts';
import { verifiesByOthers } from '../../src/x509/second-opinion.ts';
import { newCsr, newKey, only, openTestHouse, outcomeCode, type TestHouse } from '../house.ts';
import { reservation } from '../store/samples.ts';

/** The real ledger, whose writes fail from the given one on until they are mended: the process died there. */
function dyingLedger(): { wrap: (ledger: Ledger) => Ledger; dieAtWrite(number: number): void; live(): void } {
  let writes = 0;
  let last = Number.POSITIVE_INFINITY;
  return {
    wrap: (ledger) => ({
      read: ledger.read,
      write: (work) => {
        writes += 1;
        if (writes >= last) return Promise.reject(new BirthmarkError('ledger-full', 'the disk is full'));
        return ledger.write(work);
      },
    }),
    dieAtWrite: (number) => {
      writes = 0;
      last = number;
    },
    live: () => {
      last = Number.POSITIVE_INFINITY;
    },
  };
}

async function withCrashed(
  work: (
    house: TestHouse,
    left: { serial: Uint8Array; key: ReturnType<typeof newKey> },
    live: () => void,
  ) => Promise<void>,
): Promise<void> {
  const dying = dyingLedger();
  using house = await openTestHouse({ faulty: dying.wrap });
  const key = newKey();
  dying.dieAtWrite(2);
  expect(outcomeCode(await house.ask('SN-1', { key }))).toBe('ledger-full');
  const { serial } = only(await house.ledger.read.findReserved(10));
  await work(house, { serial, key }, dying.live);
}

test('a disk that is full before the reservation leaves nothing', async () => {
  const dying = dyingLedger();
  using house = await openTestHouse({ faulty: dying.wrap });
  dying.dieAtWrite(1);
  expect(outcomeCode(await house.ask('SN-1'))).toBe('ledger-full');
  expect(await house.ledger.read.findReserved(10)).toEqual([]);
  expect((await house.ledger.read.searchDevices({ limit: 10 })).items).toEqual([]);
});

describe('what a crash left reserved', () => {
  test('is no certificate for anybody yet', async () => {
    await withCrashed(async (house, { serial }) => {
      const record = await house.ledger.read.findBySerial(serial);
      expect(record).toBeDefined();
      expect(record && certificateOf(record, house.authorities)).toBeUndefined();
      expect((await house.ledger.read.searchCertificates({ limit: 10 })).items).toEqual([]);
    });
  });

  test('is finished by the next request for it, with the same serial and the same octets', async () => {
    await withCrashed(async (house, { serial, key }, live) => {
      live();
      const reserved = await house.ledger.read.findBySerial(serial);
      const first = await house.grant('SN-1', { key });
      const second = await house.grant('SN-1', { key });
      expect(first.serial).toEqual(serial);
      expect(second.certificate).toEqual(first.certificate);
      expect(parseCertificate(first.certificate).tbs.raw).toEqual(reserved?.tbs);
      expect(await verifiesByOthers(first.certificate, first.chain[0] ?? new Uint8Array())).toBe(true);
      expect(await house.ledger.read.findReserved(10)).toEqual([]);
    });
  });

  test('is not finished for another key: the device is born, as far as the ledger knows', async () => {
    await withCrashed(async (house, _left, live) => {
      live();
      expect(outcomeCode(await house.ask('SN-1'))).toBe('device-already-born');
    });
  });

  test('is finished at start, and the answer later is that certificate', async () => {
    await withCrashed(async (house, { serial, key }, live) => {
      live();
      const { ledger, authorities, clock } = house;
      expect(await finishReserved(ledger, authorities, clock.now, clock.now())).toBe(1);
      expect(await finishReserved(ledger, authorities, clock.now, clock.now())).toBe(0);
      const record = await ledger.read.findBySerial(serial);
      expect((await house.grant('SN-1', { key })).certificate).toEqual(
        record && certificateOf(record, authorities),
      );
      const acts = (await ledger.read.listAudit({ limit: 10 })).items.map(({ action }) => action);
      expect(acts).toEqual(['certificate.issue', 'certificate.finish']);
    });
  });

  test('gets the signature that it has where it is an authority that the record brought back', async () => {
    using house = await openTestHouse();
    const { ledger, authorities, clock } = house;
    const { certificate } = authorities.get('ldevid') ?? {};
    if (!certificate) throw new Error('no such authority');
    const { serial, raw } = certificate.tbs;
    await ledger.write((tx) =>
      tx.reserve([
        reservation('authority', {
          serial,
          tbs: raw,
          authority: 'root',
          reservedAt: clock.now(),
          profile: 'issuing-ca',
        }),
      ]),
    );
    expect(await finishReserved(ledger, authorities, clock.now, clock.now())).toBe(1);
    expect((await ledger.read.findBySerial(serial))?.signature).toEqual(certificate.signature);
    expect(await ledger.read.findReserved(10)).toEqual([]);
  });

  test('is left alone while it may still be under way', async () => {
    await withCrashed(async (house, { serial }, live) => {
      live();
      const { ledger, authorities, clock } = house;
      expect(await finishReserved(ledger, authorities, clock.now, clock.now() - 1)).toBe(0);
      expect((await ledger.read.findBySerial(serial))?.signature).toBeUndefined();
    });
  });

  test('is audited in the transaction that finishes it', async () => {
    await withCrashed(async (house, { serial }, live) => {
      live();
      const { ledger, authorities, clock } = house;
      let writes = 0;
      const counting: Ledger = {
        read: ledger.read,
        write: (work) => {
          writes += 1;
          return ledger.write(work);
        },
      };
      await finishReserved(counting, authorities, clock.now, clock.now());
      expect(writes).toBe(1);
      expect((await ledger.read.findBySerial(serial))?.signature).toBeDefined();
    });
  });

  test('two finishers at once answer with the same signature', async () => {
    await withCrashed(async (house, { serial }, live) => {
      live();
      const { ledger, authorities } = house;
      const record = await ledger.read.findBySerial(serial);
      if (!record) throw new Error('no record');
      const finish = async () => only(await signAndCommit(ledger, authorities, [{ kind: 'repeat', record }]));
      const [first, second] = await Promise.all([finish(), finish()]);
      if (first instanceof BirthmarkError || second instanceof BirthmarkError || !first || !second)
        throw new Error('refused');
      // ECDSA signs differently each time, so equal octets mean that one waited for the other.
      expect(first.certificate).toEqual(second.certificate);
      expect(first.repeated && second.repeated).toBe(true);
    });
  });

  test('a start and a device that asks at the same moment agree', async () => {
    await withCrashed(async (house, { serial, key }, live) => {
      live();
      const { ledger, authorities, clock } = house;
      const [finished, asked] = await Promise.all([
        finishReserved(ledger, authorities, clock.now, clock.now()),
        house.grant('SN-1', { key }),
      ]);
      expect(finished).toBeLessThanOrEqual(1);
      const record = await ledger.read.findBySerial(serial);
      expect(asked.certificate).toEqual(record && certificateOf(record, authorities));
    });
  });
});

test('more than one round of leftovers is finished', async () => {
  const dying = dyingLedger();
  using house = await openTestHouse({ faulty: dying.wrap });
  const key = newKey();
  const csr = newCsr(key);
  // One key for all: only the first is reserved. So each has its own.
  dying.dieAtWrite(2);
  expect(outcomeCode(await house.ask('SN-0', { csr }))).toBe('ledger-full');
  for (let at = 1; at <= 3; at += 1) {
    dying.dieAtWrite(2);
    await house.ask(`SN-${at}`);
    await setImmediate();
  }
  expect(await house.ledger.read.findReserved(10)).toHaveLength(4);
  const { ledger, authorities, clock } = house;
  expect(await finishReserved(ledger, authorities, clock.now, clock.now())).toBe(4);
});

test('a reservation of an authority whose key is not here is not signed with another one', async () => {
  const dying = dyingLedger();
  using house = await openTestHouse({ faulty: dying.wrap });
  dying.dieAtWrite(2);
  await house.ask('SN-1');
  const { ledger, clock } = house;
  const authorities = new Map([...house.authorities].filter(([name]) => name !== 'idevid'));
  await expect(finishReserved(ledger, authorities, clock.now, clock.now())).rejects.toThrow(/idevid/);
  expect(await ledger.read.findReserved(10)).toHaveLength(1);
});
