import { describe, expect, it } from 'vitest';
import type { CertificateSearch } from '../../src/ca/ports.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import type { DeviceSearch } from '../../src/fleet/ports.ts';
import { allPages, coded } from './reading.ts';
import { device, NOW, reservation, serialOf } from './samples.ts';

/** What operators look for, page by page. */
export function searchContract(current: () => Ledger): void {
  describe('the search for devices', () => {
    const search = async (wanted: Omit<DeviceSearch, 'limit'>, limit = 2): Promise<string[]> => {
      const found = await allPages((page: DeviceSearch) => current().read.searchDevices(page), {
        ...wanted,
        limit,
      });
      return found.map(({ namespace, serialNumber }) => `${namespace}/${serialNumber}`);
    };
    const add = () =>
      current().write((tx) =>
        tx.addDevices([
          device('SN-3', { model: 'M-1' }),
          device('SN-1', { batch: 'SN' }),
          device('XN-2', { model: 'M-1', state: 'enrolled' }),
          device('S%_9'),
          device('SN-1', { namespace: 'acme', batch: 'B-7' }),
        ]),
      );

    it('lists all by serial number within a namespace', async () => {
      await add();
      const all = ['acme/SN-1', 'own/S%_9', 'own/SN-1', 'own/SN-3', 'own/XN-2'];
      expect(await search({})).toEqual(all);
      expect(await search({}, 1)).toEqual(all);
      expect(await search({}, 5)).toEqual(all);
      expect(await search({ namespace: 'own' })).toEqual(all.slice(1));
      expect(await search({ namespace: 'nobody' })).toEqual([]);
    });

    it('finds the beginning of a serial number, and not its middle', async () => {
      await add();
      expect(await search({ query: 'SN-' })).toEqual(['acme/SN-1', 'own/SN-1', 'own/SN-3']);
      expect(await search({ query: 'N-' })).toEqual([]);
      expect(await search({ query: 'SN-1', namespace: 'own' })).toEqual(['own/SN-1']);
    });

    it('takes no character of the query for a pattern', async () => {
      await add();
      expect(await search({ query: 'S%' })).toEqual(['own/S%_9']);
      expect(await search({ query: '%' })).toEqual([]);
    });

    it('finds exactly a model or a batch, and not a part of them', async () => {
      await add();
      expect(await search({ query: 'M-1' })).toEqual(['own/SN-3', 'own/XN-2']);
      expect(await search({ query: 'B-7' }, 1)).toEqual(['acme/SN-1']);
      expect(await search({ query: 'M-' })).toEqual([]);
      expect(await search({ query: 'SN' }, 1)).toEqual(['acme/SN-1', 'own/SN-1', 'own/SN-3']);
    });

    it('finds those of a state', async () => {
      await add();
      expect(await search({ state: 'enrolled' }, 1)).toEqual(['own/XN-2']);
      expect(await search({ state: 'manufactured', query: 'SN-' }, 1)).toHaveLength(3);
    });

    it('goes through more devices than it looks at in one go', async () => {
      const many = Array.from({ length: 12_000 }, (_, at) => device(`SN-${String(at).padStart(5, '0')}`));
      await current().write((tx) => tx.addDevices([...many, device('ZZ', { state: 'enrolled' })]));
      expect(await search({ state: 'enrolled' })).toEqual(['own/ZZ']);
      expect(await search({ query: 'SN-1199' }, 3)).toHaveLength(10);
    });
  });

  describe('the search for certificates', () => {
    const search = async (wanted: Omit<CertificateSearch, 'limit'>, limit = 2): Promise<string[]> => {
      const list = (page: CertificateSearch) => current().read.searchCertificates(page);
      return (await allPages(list, { ...wanted, limit })).map(({ holder }) => holder);
    };
    const issue = (...reservations: ReturnType<typeof reservation>[]) =>
      current().write(async (tx) => {
        const ids = await tx.reserve(reservations);
        await tx.commit(ids.map((id) => ({ id, signature: Buffer.from('x') })));
      });

    it('lists the signed ones, newest first', async () => {
      await issue(...['a', 'b', 'c', 'd', 'e'].map((name) => reservation(name)));
      await current().write((tx) => tx.reserve([reservation('f')]));
      expect(await search({})).toEqual(['e', 'd', 'c', 'b', 'a']);
      expect(await search({}, 5)).toEqual(['e', 'd', 'c', 'b', 'a']);
    });

    it('finds a part of the holder in any case, and takes no character for a pattern', async () => {
      await issue(
        reservation('line%1'),
        reservation('LINE-1'),
        reservation('other_'),
        reservation('back\\slash'),
      );
      expect(await search({ query: 'ine' })).toEqual(['LINE-1', 'line%1']);
      expect(await search({ query: '%' })).toEqual(['line%1']);
      expect(await search({ query: '_' })).toEqual(['other_']);
      expect(await search({ query: '\\' })).toEqual(['back\\slash']);
    });

    it('finds the beginning of a serial in hexadecimal, and not its middle', async () => {
      await issue(reservation('a'), reservation('b', { serial: serialOf('b', NOW * 2) }));
      const hex = serialOf('a').toString('hex');
      expect(await search({ query: hex })).toEqual(['a']);
      expect(await search({ query: hex.slice(0, 9).toUpperCase() })).toEqual(['a']);
      expect(await search({ query: hex.slice(20) })).toEqual([]);
    });

    it('finds those of a profile', async () => {
      await issue(reservation('a'), reservation('b', { profile: 'ldevid' }));
      expect(await search({ profile: 'ldevid' })).toEqual(['b']);
      expect(await search({ profile: 'server' })).toEqual([]);
    });
  });

  describe('a page', () => {
    it('is refused for a limit that is not from 1 to 1,000', async () => {
      for (const limit of [0, -1, 1.5, 1001, Number.NaN]) {
        await expect(current().read.listAudit({ limit })).rejects.toEqual(coded('bad-request'));
      }
      expect(await current().read.listAudit({ limit: 1000 })).toEqual({ items: [] });
    });

    it('is refused for a cursor that its list did not give', async () => {
      await current().write((tx) => tx.addDevices([device('SN-1'), device('SN-2')]));
      const { cursor = '' } = await current().read.searchDevices({ limit: 1 });
      expect(cursor).toMatch(/^[\w-]+$/);
      const { read } = current();
      for (const bad of ['', '%%%', 'e30', Buffer.from('["audit","x"]').toString('base64url'), cursor]) {
        await expect(read.listAudit({ limit: 1, cursor: bad })).rejects.toEqual(coded('bad-request'));
        await expect(read.listTokens({ limit: 1, cursor: bad })).rejects.toEqual(coded('bad-request'));
        await expect(read.searchCertificates({ limit: 1, cursor: bad })).rejects.toEqual(
          coded('bad-request'),
        );
      }
      const foreign = Buffer.from('["audit",1]').toString('base64url');
      await expect(read.searchDevices({ limit: 1, cursor: foreign })).rejects.toEqual(coded('bad-request'));
    });
  });
}
