import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CrlMoments } from '../../src/ca/crl/ports.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import { caContract } from './ca-contract.ts';
import { credentialsContract } from './credentials-contract.ts';
import { lifeContract } from './life-contract.ts';
import { coded } from './reading.ts';
import { revocationContract } from './revocation-contract.ts';
import { audit, device } from './samples.ts';
import { searchContract } from './search-contract.ts';
import { trustContract } from './trust-contract.ts';

export interface OpenLedger extends Ledger, CrlMoments {
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
        await tx.addDevices([device('SN-2')]).catch(() => []);
        return 'all is well';
      });
      await expect(work).rejects.toEqual(coded('already-exists'));
      expect(await known('SN-0', 'SN-2')).toEqual([false, false]);
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
        { ...full, id: second, rebirthAllowed: false, ticketsAfter: 0 },
        undefined,
        { ...device('SN-1'), id: first, rebirthAllowed: false, ticketsAfter: 0 },
      ]);
    });

    it('finds by id what was added, in order, and nothing for an id that is not there', async () => {
      const [first = 0, second = 0] = await ledger.write((tx) =>
        tx.addDevices([device('SN-1'), device('SN-2')]),
      );
      expect(await ledger.read.findDevicesById([second, second + 1, first])).toEqual([
        { ...device('SN-2'), id: second, rebirthAllowed: false, ticketsAfter: 0 },
        undefined,
        { ...device('SN-1'), id: first, rebirthAllowed: false, ticketsAfter: 0 },
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
        await tx.moveDevices([{ deviceId: id, to: 'enrolled' }]);
        await tx.setRebirthAllowed(id, true);
      });
      expect(await ledger.read.findDevices([own('SN-1')])).toMatchObject([
        { state: 'enrolled', rebirthAllowed: true },
      ]);
    });
  });

  caContract(() => ledger);
  lifeContract(() => ledger);
  credentialsContract(() => ledger);
  revocationContract(() => ledger);
  searchContract(() => ledger);
  trustContract(() => ledger);
}
