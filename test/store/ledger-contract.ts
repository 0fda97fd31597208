import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/enroll/ports.ts';
import { credentialsContract } from './credentials-contract.ts';
import { coded } from './reading.ts';
import { audit, device, hashOf, NOW, reservation, serialOf } from './samples.ts';
import { searchContract } from './search-contract.ts';

export interface OpenLedger extends Ledger {
  close(): void | Promise<void>;
}

/** One empty ledger. `open` may be called again and again: each gives what another process would have. */
export interface LedgerPlace {
  open(): Promise<OpenLedger>;
  remove(): Promise<void>;
}

/** What every engine must keep: each promise in the comments of the rooms' ports. */
export function ledgerContract(newPlace: () => Promise<LedgerPlace>): void {
  let place: LedgerPlace;
  let ledger: OpenLedger;

  beforeEach(async () => {
    place = await newPlace();
    ledger = await place.open();
  });
  afterEach(async () => {
    await ledger.close();
    await place.remove();
  });

  const own = (serialNumber: string) => ({ namespace: 'own', serialNumber });
  const known = async (...serialNumbers: string[]): Promise<boolean[]> =>
    (await ledger.read.findDevices(serialNumbers.map(own))).map((found) => found !== undefined);

  describe('a unit of work', () => {
    it('returns what the work returned', async () => {
      expect(await ledger.write(async () => 'done')).toBe('done');
    });

    it('undoes all of a work that throws, and gives its error', async () => {
      const refusal = new Error('no');
      const work = ledger.write(async (tx) => {
        await tx.addDevices([device('SN-1')]);
        await tx.appendAudit([audit('device:own/SN-1')]);
        throw refusal;
      });
      await expect(work).rejects.toBe(refusal);
      expect(await known('SN-1')).toEqual([false]);
      expect((await ledger.read.listAudit({ limit: 10 })).items).toEqual([]);
    });

    it('undoes only the work that throws where several run at once', async () => {
      const works = ['SN-1', 'SN-2', 'SN-3', 'SN-4'].map((serialNumber, at) =>
        ledger.write(async (tx) => {
          await tx.addDevices([device(serialNumber)]);
          if (at % 2 === 0) throw new Error(serialNumber);
        }),
      );
      const outcomes = await Promise.allSettled(works);
      expect(outcomes.map(({ status }) => status)).toEqual([
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      expect(await known('SN-1', 'SN-2', 'SN-3', 'SN-4')).toEqual([false, true, false, true]);
    });

    it('undoes a work in which a call failed, even if the work goes on', async () => {
      await ledger.write((tx) => tx.addDevices([device('SN-1')]));
      const work = ledger.write(async (tx) => {
        await tx.addDevices([device('SN-0')]);
        await tx.addDevices([device('SN-1')]).catch(() => []);
        return 'all is well';
      });
      await expect(work).rejects.toEqual(coded('already-exists'));
      expect(await known('SN-0')).toEqual([false]);
    });

    it('runs works one after another: each sees what those before it did', async () => {
      const number = () => ledger.write((tx) => tx.takeCrlNumber('idevid', 'full'));
      expect(await Promise.all(Array.from({ length: 50 }, number))).toEqual(
        Array.from({ length: 50 }, (_, at) => at + 1),
      );
    });

    it('shows a work what it did, and readers nothing before it ended', async () => {
      await ledger.write(async (tx) => {
        await tx.addDevices([device('SN-1')]);
        expect(await tx.findDevices([own('SN-1')])).toMatchObject([{ serialNumber: 'SN-1' }]);
        expect(await ledger.read.findDevices([own('SN-1')])).toEqual([undefined]);
      });
      expect(await known('SN-1')).toEqual([true]);
    });

    it('keeps what it resolved when it is opened again', async () => {
      await ledger.write((tx) => tx.addDevices([device('SN-1')]));
      await ledger.close();
      ledger = await place.open();
      expect(await known('SN-1')).toEqual([true]);
    });

    it('lets two that have it open write by turns, and never gives a number twice', async () => {
      const other = await place.open();
      try {
        const takes = Array.from({ length: 100 }, (_, at) =>
          (at % 2 === 0 ? ledger : other).write((tx) => tx.takeCrlNumber('idevid', '7')),
        );
        expect(new Set(await Promise.all(takes)).size).toBe(100);
      } finally {
        await other.close();
      }
    });

    it('refuses works when it is closed', async () => {
      const closed = await place.open();
      await closed.close();
      await expect(closed.write(async () => 1)).rejects.toEqual(coded('unavailable'));
      await expect(closed.read.listAuthorities()).rejects.toEqual(coded('unavailable'));
    });
  });

  describe('devices', () => {
    it('finds what was added, in order, with all that was said of it', async () => {
      const hardware = { hwType: '1.3.6.1.4.1.99999.1', hwSerialNum: Buffer.from('00ff', 'hex') };
      const full = device('SN-2', { model: 'M-1', batch: 'B-7', hardware, state: 'enrolled' });
      const [first, second] = await ledger.write((tx) => tx.addDevices([device('SN-1'), full]));
      expect(await ledger.read.findDevices([own('SN-2'), own('SN-9'), own('SN-1')])).toEqual([
        { ...full, id: second, rebirthAllowed: false },
        undefined,
        { ...device('SN-1'), id: first, rebirthAllowed: false },
      ]);
    });

    it('takes the same serial number in another namespace', async () => {
      const both = [device('SN-1'), device('SN-1', { namespace: 'acme' })];
      const ids = await ledger.write((tx) => tx.addDevices(both));
      expect(new Set(ids).size).toBe(2);
      expect(await ledger.read.findDevices([{ namespace: 'other', serialNumber: 'SN-1' }])).toEqual([
        undefined,
      ]);
    });

    it('refuses a device that is there already, and all that came with it', async () => {
      await ledger.write((tx) => tx.addDevices([device('SN-1')]));
      const again = ledger.write((tx) => tx.addDevices([device('SN-0'), device('SN-1')]));
      await expect(again).rejects.toEqual(coded('already-exists'));
      expect(await known('SN-0')).toEqual([false]);
    });

    it('moves a device to another state and allows it a rebirth', async () => {
      await ledger.write(async (tx) => {
        const [id = 0] = await tx.addDevices([device('SN-1')]);
        await tx.setDeviceState(id, 'enrolled');
        await tx.setRebirthAllowed(id, true);
      });
      expect(await ledger.read.findDevices([own('SN-1')])).toMatchObject([
        { state: 'enrolled', rebirthAllowed: true },
      ]);
    });
  });

  describe('certificates', () => {
    it('are found by serial and by device, first reserved, then signed', async () => {
      const [deviceId = 0] = await ledger.write((tx) => tx.addDevices([device('SN-1')]));
      const wanted = reservation('SN-1', { deviceId });
      const [id = 0] = await ledger.write((tx) => tx.reserve([wanted]));
      expect(await ledger.read.findBySerial(wanted.serial)).toEqual({ ...wanted, id });
      const signature = Buffer.from('signature');
      expect(await ledger.write((tx) => tx.commit([{ id, signature }]))).toEqual([signature]);
      expect(await ledger.read.findByDevices([deviceId])).toEqual([{ ...wanted, id, signature }]);
      expect(await ledger.read.findByDevices([deviceId + 1])).toEqual([]);
      expect(await ledger.read.findBySerial(serialOf('another'))).toBeUndefined();
    });

    it('of several devices come oldest first', async () => {
      const [one = 0, two = 0] = await ledger.write((tx) => tx.addDevices([device('SN-1'), device('SN-2')]));
      await ledger.write((tx) =>
        tx.reserve([two, one, two].map((deviceId, at) => reservation(`${at}`, { deviceId }))),
      );
      const found = await ledger.read.findByDevices([one, two, one]);
      expect(found.map(({ holder }) => holder)).toEqual(['0', '1', '2']);
    });

    it('never share a serial, whatever their authorities', async () => {
      await ledger.write((tx) => tx.reserve([reservation('SN-1')]));
      const same = reservation('SN-2', { serial: serialOf('SN-1'), authority: 'ldevid' });
      const work = ledger.write((tx) => tx.reserve([reservation('SN-3'), same]));
      await expect(work).rejects.toEqual(coded('already-exists'));
      expect(await ledger.read.findBySerial(serialOf('SN-3'))).toBeUndefined();
    });

    it('keep the first signature where two processes finish one reservation', async () => {
      const [id = 0] = await ledger.write((tx) => tx.reserve([reservation('SN-1')]));
      const sign = (text: string) => ledger.write((tx) => tx.commit([{ id, signature: Buffer.from(text) }]));
      expect(await sign('first')).toEqual([Buffer.from('first')]);
      expect(await sign('second')).toEqual([Buffer.from('first')]);
    });

    it('are not signed without a reservation', async () => {
      const work = ledger.write((tx) => tx.commit([{ id: 12345, signature: Buffer.from('x') }]));
      await expect(work).rejects.toEqual(coded('ledger-failed'));
    });

    it('that are only reserved are listed oldest first until they are signed', async () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const ids = await ledger.write((tx) => tx.reserve(names.map((name) => reservation(name))));
      const sign = [ids[1], ids[2], ids[4]].map((id = 0) => ({ id, signature: Buffer.from('x') }));
      await ledger.write((tx) => tx.commit(sign));
      const reserved = await ledger.read.findReserved(10);
      expect(reserved).toEqual([
        { ...reservation('a'), id: ids[0] },
        { ...reservation('d'), id: ids[3] },
      ]);
      expect((await ledger.read.findReserved(1)).map(({ holder }) => holder)).toEqual(['a']);
    });

    it('tell the latest time of a reservation, even when the clock went back after it', async () => {
      expect(await ledger.read.latestReservation()).toBe(0);
      await ledger.write((tx) => tx.reserve([reservation('a', { reservedAt: NOW + 5 }), reservation('b')]));
      await ledger.write((tx) => tx.reserve([reservation('c', { reservedAt: NOW - 5 })]));
      expect(await ledger.read.latestReservation()).toBe(NOW + 5);
    });

    it('may be as large as ML-DSA makes them', async () => {
      const large = reservation('SN-1', { tbs: Buffer.alloc(9_000, 7) });
      const signature = Buffer.alloc(4_627, 9);
      const [id = 0] = await ledger.write((tx) => tx.reserve([large]));
      await ledger.write((tx) => tx.commit([{ id, signature }]));
      expect(await ledger.read.findBySerial(large.serial)).toEqual({ ...large, id, signature });
    });
  });

  describe('keys', () => {
    const find = (...names: string[]) => ledger.read.findKeys(names.map(hashOf));

    it('are found in order with their owners', async () => {
      const [deviceId = 0] = await ledger.write((tx) => tx.addDevices([device('SN-1')]));
      const claims = [
        { keyHash: hashOf('a'), deviceId },
        { keyHash: hashOf('b'), holder: 'server:host' },
      ];
      await ledger.write((tx) => tx.claimKeys(claims));
      expect(await find('b', 'never seen', 'a')).toEqual([claims[1], undefined, claims[0]]);
    });

    it('are refused to a second owner, with all that came with them', async () => {
      const claim = (...names: string[]) =>
        ledger.write((tx) =>
          tx.claimKeys(names.map((name) => ({ keyHash: hashOf(name), holder: 'server:host' }))),
        );
      await claim('a');
      await expect(claim('b', 'a')).rejects.toEqual(coded('already-exists'));
      expect(await find('b')).toEqual([undefined]);
    });

    it('are blocked whether they were seen or not, and the first reason stays', async () => {
      await ledger.write((tx) => tx.claimKeys([{ keyHash: hashOf('seen'), holder: 'server:host' }]));
      await ledger.write(async (tx) => {
        await tx.blockKey(hashOf('seen'), 'published on a forum', NOW);
        await tx.blockKey(hashOf('unseen'), 'weak', NOW);
        await tx.blockKey(hashOf('unseen'), 'later', NOW + 1);
      });
      expect(await find('seen', 'unseen')).toEqual([
        { keyHash: hashOf('seen'), holder: 'server:host', blocked: 'published on a forum' },
        { keyHash: hashOf('unseen'), blocked: 'weak' },
      ]);
    });
  });

  describe('authorities and CRLs', () => {
    const crl = (number: number, more: object = {}) => ({
      authority: 'idevid',
      scope: 'full',
      number,
      thisUpdate: NOW,
      nextUpdate: NOW + 1000,
      crl: Buffer.from(`crl ${number}`),
      ...more,
    });

    it('lists authorities in the order in which they came, each name once', async () => {
      const authority = (name: string) => ({
        name,
        certificate: Buffer.from(name),
        issuer: 'root',
        createdAt: NOW,
      });
      const both = [authority('root'), authority('idevid')];
      await ledger.write((tx) => tx.addAuthorities(both));
      const again = ledger.write((tx) => tx.addAuthorities([authority('root')]));
      await expect(again).rejects.toEqual(coded('already-exists'));
      expect(await ledger.read.listAuthorities()).toEqual(both);
    });

    it('counts the numbers of each scope by itself', async () => {
      const take = (authority: string, scope: string) =>
        ledger.write((tx) => tx.takeCrlNumber(authority, scope));
      expect(await take('idevid', 'full')).toBe(1);
      expect(await take('idevid', 'full')).toBe(2);
      expect(await take('idevid', '3')).toBe(1);
      expect(await take('ldevid', 'full')).toBe(1);
    });

    it('replaces the CRL of a scope', async () => {
      await ledger.write((tx) => tx.publishCrl(crl(1)));
      await ledger.write((tx) => tx.publishCrl(crl(2)));
      await ledger.write((tx) => tx.publishCrl(crl(1, { scope: '3' })));
      expect(await ledger.read.findCrl('idevid', 'full')).toEqual(crl(2));
      expect(await ledger.read.findCrl('ldevid', 'full')).toBeUndefined();
      const listed = await ledger.read.listCrls('idevid');
      expect(listed.map(({ scope, number }) => [scope, number])).toEqual([
        ['3', 1],
        ['full', 2],
      ]);
      expect(listed[0]).not.toHaveProperty('crl');
    });

    it('never puts a CRL in the place of one with a higher number', async () => {
      await ledger.write((tx) => tx.publishCrl(crl(2)));
      await ledger.write((tx) => tx.publishCrl(crl(1)));
      expect(await ledger.read.findCrl('idevid', 'full')).toEqual(crl(2));
    });
  });

  credentialsContract(() => ledger);
  searchContract(() => ledger);
}
