import { describe, expect, it } from 'vitest';
import type { CrlMoments } from '../../src/ca/crl/ports.ts';
import type { RevocationRecord } from '../../src/ca/revocation/ports.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import { coded } from './reading.ts';
import { device, hashOf, NOW, reservation, revocation, serialOf } from './samples.ts';

/** What was taken back, what is held, and what changed. */
export function revocationContract(current: () => Ledger & CrlMoments): void {
  /** Issues a certificate of that name; gives its row. */
  const issue = async (name: string, more: Parameters<typeof reservation>[1] = {}): Promise<number> => {
    const [id = 0] = await current().write((tx) => tx.reserve([reservation(name, more)]));
    await current().write((tx) => tx.commit([{ id, signature: Buffer.from('signature') }]));
    return id;
  };
  const put = (...records: RevocationRecord[]) => current().write((tx) => tx.putRevocations(records));
  const statuses = async (...names: string[]) =>
    (
      await current().read.findStatuses(
        'idevid',
        names.map((name) => serialOf(name)),
      )
    ).map(({ status }) => status);

  describe('revocations', () => {
    it('are found by row and by serial, with all that was said of them', async () => {
      const id = await issue('a');
      const record = revocation(id, 'a', {
        reason: 'keyCompromise',
        invalidityAt: NOW - 5,
        publishedAt: NOW + 1,
        enforcedAt: NOW + 2,
      });
      expect(await put(record)).toBe(1);
      expect(await current().read.findRevocations([id + 1, id])).toEqual([undefined, record]);
      expect(await current().read.findStatuses('idevid', [serialOf('a')])).toEqual([
        { status: 'revoked', revocation: record },
      ]);
    });

    it('leave a status good that was issued, and unknown what was not, or only reserved, or by another authority', async () => {
      await issue('good');
      await issue('foreign', { authority: 'ldevid' });
      await current().write((tx) => tx.reserve([reservation('reserved')]));
      expect(await statuses('good', 'foreign', 'reserved', 'never')).toEqual([
        'good',
        'unknown',
        'unknown',
        'unknown',
      ]);
    });

    it('are listed by authority or by shard, by serial number, in slices, without those that ended long ago', async () => {
      const names = ['a', 'b', 'c', 'd'];
      for (const [at, name] of names.entries()) {
        const place = { shard: at % 2, notAfter: NOW + at };
        await put(revocation(await issue(name, place), name, { ...place, held: at === 2 }));
      }
      const inOrder = names.map((name) => serialOf(name).toString('hex').toUpperCase()).sort();
      const nameOf = (serial: string) =>
        names[names.findIndex((name) => serialOf(name).equals(Buffer.from(serial, 'hex')))];
      const list = (search: object) =>
        current().atOneMoment(async (moment) => {
          const all = { authority: 'idevid', endedBefore: 0, after: '', limit: 10, ...search };
          return moment.listEntries(all).map(([serial]) => serial);
        });
      const ofNames = (wanted: string) => inOrder.filter((serial) => wanted.includes(nameOf(serial) ?? '-'));
      expect(await list({})).toEqual(inOrder);
      expect(await list({ shard: 1 })).toEqual(ofNames('bd'));
      expect(await list({ endedBefore: NOW + 2 })).toEqual(ofNames('cd'));
      expect(await list({ limit: 2 })).toEqual(inOrder.slice(0, 2));
      expect(await list({ limit: 2, after: inOrder[1] })).toEqual(inOrder.slice(2));
      expect(await list({ authority: 'ldevid' })).toEqual([]);
      const ended = await current().atOneMoment(async (moment) =>
        moment.listEnded({ authority: 'idevid', from: NOW + 1, until: NOW + 3, after: '', limit: 10 }),
      );
      expect(ended.map(([serial]) => serial)).toEqual(ofNames('bc'));
      expect(ended.map(([, , reason]) => reason)).toContain('certificateHold');
    });

    it('are read from one moment, whatever is written meanwhile', async () => {
      await put(revocation(await issue('a', { shard: 0 }), 'a', { shard: 0 }));
      const two = await issue('b', { shard: 0 });
      await current().atOneMoment(async (moment) => {
        const search = { authority: 'idevid', endedBefore: 0, after: '', limit: 10 };
        await put(revocation(two, 'b', { shard: 0 }));
        expect([moment.changes, moment.listEntries(search).length]).toEqual([1, 1]);
        expect(moment.listChanged('idevid', 0, 10)).toHaveLength(1);
      });
      const now = await current().atOneMoment(async (moment) => moment.listChanged('idevid', 1, 10));
      expect(now).toMatchObject([
        { sequence: 2, serial: serialOf('b').toString('hex').toUpperCase(), at: NOW },
      ]);
    });

    it('are changes in order: held, revoked, released, and none where nothing was', async () => {
      const [one, two] = [await issue('a'), await issue('b')];
      expect(await current().read.lastStatusChange()).toBe(0);
      await put(revocation(one, 'a', { held: true }), revocation(two, 'b', { held: true }));
      await put(revocation(one, 'a', { reason: 'superseded' }));
      expect(await current().write((tx) => tx.releaseHolds([two], NOW + 1))).toBe(4);
      expect(await statuses('a', 'b')).toEqual(['revoked', 'good']);
      const changes = await current().read.listStatusChanges(0, 10);
      expect(changes.map(({ sequence, status }) => [sequence, status])).toEqual([
        [1, 'held'],
        [2, 'held'],
        [3, 'revoked'],
        [4, 'good'],
      ]);
      expect(changes[2]).toEqual({
        sequence: 3,
        serial: serialOf('a'),
        authority: 'idevid',
        shard: 3,
        keyHash: hashOf('a'),
        status: 'revoked',
        reason: 'superseded',
        at: NOW,
      });
      expect((await current().read.listStatusChanges(2, 1)).map(({ sequence }) => sequence)).toEqual([3]);
    });

    it('that are final are not released, nor what stands, and nothing of that work is done', async () => {
      const [held, final, good] = [await issue('a'), await issue('b'), await issue('c')];
      await put(revocation(held, 'a', { held: true }), revocation(final, 'b'));
      for (const id of [final, good]) {
        const work = current().write((tx) => tx.releaseHolds([held, id], NOW));
        await expect(work).rejects.toEqual(coded('certificate-revoked'));
      }
      expect(await statuses('a', 'b', 'c')).toEqual(['revoked', 'revoked', 'good']);
      expect(await current().read.lastStatusChange()).toBe(2);
    });

    it('are told in one epoch, whatever is written', async () => {
      const epoch = await current().read.statusEpoch();
      expect(epoch).toMatch(/^[0-9a-f]{32}$/);
      await put(revocation(await issue('a'), 'a'));
      expect(await current().read.statusEpoch()).toBe(epoch);
    });

    it('leave no gap in the changes where a work fails', async () => {
      const id = await issue('a');
      const work = current().write(async (tx) => {
        await tx.putRevocations([revocation(id, 'a')]);
        throw new Error('no');
      });
      await expect(work).rejects.toThrow('no');
      expect(await put(revocation(id, 'a'))).toBe(1);
    });

    it('of many certificates at once keep their order and their dates, and of one that is not there nothing is done', async () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const ids: number[] = [];
      for (const name of names) ids.push(await issue(name));
      const records = names.map((name, at) =>
        revocation(ids[at] ?? 0, name, { recordedAt: NOW + (at > 2 ? 1 : 0), held: at === 1 }),
      );
      expect(await put(...records.toReversed())).toBe(5);
      const changes = await current().read.listStatusChanges(0, 10);
      expect(changes.map(({ serial }) => serial)).toEqual(names.toReversed().map((name) => serialOf(name)));
      expect(await current().read.findRevocations([...ids, 999])).toEqual([...records, undefined]);
      await expect(put(revocation(999, 'a'))).rejects.toEqual(coded('internal'));
      expect(await current().read.lastStatusChange()).toBe(5);
    });

    it('are counted for their lists before they are read', async () => {
      for (const [at, name] of ['a', 'b', 'c'].entries())
        await put(revocation(await issue(name, { shard: at % 2 }), name));
      const counts = await current().atOneMoment(async (moment) => [
        moment.countEntries('idevid'),
        moment.countEntries('idevid', 0),
        moment.countEntries('idevid', 1),
        moment.countEntries('ldevid'),
      ]);
      expect(counts).toEqual([3, 2, 1, 0]);
    });

    it('note when they were enforced first, and never before they were recorded', async () => {
      const [one, two] = [await issue('a'), await issue('b')];
      await put(revocation(one, 'a'), revocation(two, 'b'));
      const note = (...enforced: { readonly id: number; readonly at: number }[]) =>
        current().write((tx) => tx.noteEnforced(enforced));
      expect(await note({ id: one, at: NOW + 5 }, { id: 999, at: NOW })).toEqual([one]);
      expect(await note({ id: one, at: NOW + 9 }, { id: two, at: NOW - 60_000 })).toEqual([two]);
      const found = await current().read.findRevocations([one, two]);
      expect(found).toMatchObject([{ enforcedAt: NOW + 5 }, { enforcedAt: NOW }]);
    });

    it('note when they were published first', async () => {
      const id = await issue('a');
      await put(revocation(id, 'a'));
      await current().write((tx) => tx.notePublished([id], NOW + 7));
      await current().write((tx) => tx.notePublished([id], NOW + 9));
      expect(await current().read.findRevocations([id])).toMatchObject([{ publishedAt: NOW + 7 }]);
    });

    it('that a list tells are not lost to a later number that tells less', async () => {
      const list = (number: number, changes: number) =>
        current().write((tx) =>
          tx.publishCrl({
            authority: 'idevid',
            scope: '3',
            number,
            thisUpdate: NOW,
            nextUpdate: NOW + 1,
            changes,
            endedBefore: 0,
            idp: false,
            crl: Buffer.from(`crl ${number}`),
          }),
        );
      await list(1, 5);
      await list(2, 4);
      expect(await current().read.findCrl('idevid', '3')).toMatchObject({ number: 1, changes: 5 });
      await list(3, 5);
      expect(await current().read.findCrl('idevid', '3')).toMatchObject({ number: 3, changes: 5 });
    });

    it('make the lists of their scope stale, and no others', async () => {
      const scopes = ['full', '3', '4'];
      const publish = (changes: number) =>
        current().write(async (tx) => {
          for (const scope of scopes)
            await tx.publishCrl({
              authority: 'idevid',
              scope,
              number: changes + 1,
              thisUpdate: NOW,
              nextUpdate: NOW + 1,
              changes,
              endedBefore: 0,
              idp: false,
              crl: Buffer.from('crl'),
            });
        });
      const stale = async () => (await current().read.listStaleCrls()).map(({ scope }) => scope);
      await publish(0);
      expect(await stale()).toEqual([]);
      await put(revocation(await issue('a'), 'a'));
      expect(await stale()).toEqual(['3', 'full']);
      await publish(1);
      expect(await stale()).toEqual([]);
    });
  });

  describe('certificates that others name', () => {
    it('are found by their serial numbers in order, without those that were never signed', async () => {
      const id = await issue('a', { authority: 'ldevid' });
      await current().write((tx) => tx.reserve([reservation('reserved')]));
      const asked = ['never', 'a', 'reserved'].map((name) => serialOf(name));
      expect(await current().read.findIssued(asked)).toEqual([
        undefined,
        { id, authority: 'ldevid', deviceId: null },
        undefined,
      ]);
    });

    it('are told with their device, and whether it has another good one of the same authority', async () => {
      const add = (name: string) => current().write((tx) => tx.addDevices([device(name)]));
      const [[lone = 0], [rich = 0]] = [await add('SN-1'), await add('SN-2')];
      await issue('service');
      await issue('lone', { deviceId: lone });
      // None of these helps a device: of another authority, ended, taken back, only reserved.
      await issue('foreign', { deviceId: lone, authority: 'ldevid' });
      await issue('ended', { deviceId: lone, notAfter: NOW - 1 });
      await put(revocation(await issue('gone', { deviceId: lone }), 'gone'));
      await current().write((tx) => tx.reserve([reservation('reserved', { deviceId: lone })]));
      for (const name of ['first', 'second']) await issue(name, { deviceId: rich });
      const asked = ['first', 'service', 'never', 'lone', 'first'].map((name) => serialOf(name));
      const own = { namespace: 'own', serialNumber: 'SN-2', others: true };
      expect(await current().read.findHolders(asked, NOW)).toEqual([
        own,
        undefined,
        undefined,
        { namespace: 'own', serialNumber: 'SN-1', others: false },
        own,
      ]);
    });
  });

  describe('certificates to be taken back', () => {
    it('are found by their key, whether a device or a service has it', async () => {
      const [deviceId = 0] = await current().write((tx) => tx.addDevices([device('SN-1')]));
      const keyHash = hashOf('shared');
      await current().write((tx) => tx.claimKeys([{ keyHash, deviceId }]));
      const ids = [await issue('a', { deviceId, keyHash }), await issue('b', { deviceId, keyHash })];
      await issue('c', { deviceId });
      const service = await issue('d');
      const found = async (name: string) =>
        (await current().read.findByKey(hashOf(name))).map(({ id }) => id);
      expect(await found('shared')).toEqual(ids);
      expect(await found('d')).toEqual([service]);
      expect(await found('never')).toEqual([]);
    });

    it('are gone through by authority or by batch, in pages', async () => {
      const [deviceId = 0] = await current().write((tx) => tx.addDevices([device('SN-1', { batch: 'B-7' })]));
      await issue('a', { deviceId });
      await issue('b', { authority: 'ldevid', deviceId });
      await issue('c');
      const scan = async (of: Parameters<Ledger['read']['scanCertificates']>[0]['of'], limit = 10) => {
        const names: string[][] = [];
        for (let after: number | undefined = 0; after !== undefined; ) {
          const { items, through } = await current().read.scanCertificates({ of, after, limit });
          names.push(items.map(({ holder }) => holder));
          after = through;
        }
        return names;
      };
      expect(await scan({ authority: 'idevid' })).toEqual([['a', 'c']]);
      expect(await scan({ authority: 'idevid' }, 1)).toEqual([['a'], ['c'], []]);
      expect(await scan({ batch: 'B-7' })).toEqual([['a', 'b']]);
      expect(await scan({ batch: 'B-8' })).toEqual([[]]);
    });
  });
}
