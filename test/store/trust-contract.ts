import { describe, expect, it } from 'vitest';
import type { ApprovalKey, Ledger, TrustedCa } from '../../src/enroll/ports.ts';
import { allPages, coded } from './reading.ts';
import { hashOf, NOW } from './samples.ts';

/** Manufacturers' CAs, and enrollments that wait for an operator's word. */
export function trustContract(current: () => Ledger): void {
  describe('trusted CAs', () => {
    const ca = (name: string, more: Partial<TrustedCa> = {}): TrustedCa => ({
      namespace: 'acme',
      certificate: Buffer.from(`certificate of ${name}`),
      fingerprint: hashOf(name),
      validity: 'all',
      addedAt: NOW,
      addedBy: 'operator:anna',
      ...more,
    });
    const add = (one: TrustedCa) => current().write((tx) => tx.addTrustedCa(one));
    const remove = (name: string) => current().write((tx) => tx.removeTrustedCa(hashOf(name)));
    const version = () => current().read.trustVersion();

    it('are listed oldest first, with all that was said of them', async () => {
      const both = [ca('b'), ca('a', { namespace: 'bolt', serialPattern: 'B-*', validity: 'leaf' })];
      for (const one of both) await add(one);
      expect(await current().read.listTrustedCas()).toEqual(both);
    });

    it('are refused a second time, in another namespace too', async () => {
      await add(ca('a'));
      const before = await version();
      await expect(add(ca('a'))).rejects.toEqual(coded('already-exists'));
      await expect(add(ca('a', { namespace: 'bolt' }))).rejects.toEqual(coded('already-exists'));
      expect(await current().read.listTrustedCas()).toEqual([ca('a')]);
      expect(await version()).toBe(before);
    });

    it('are taken away by their fingerprint, and one that is not there is not', async () => {
      await add(ca('a'));
      await add(ca('b'));
      expect(await remove('a')).toBe(true);
      expect(await remove('a')).toBe(false);
      expect(await current().read.listTrustedCas()).toEqual([ca('b')]);
      await add(ca('a'));
      expect(await current().read.listTrustedCas()).toEqual([ca('b'), ca('a')]);
    });

    it('have a version that grows with every change, and not without one', async () => {
      const seen = [await version()];
      await add(ca('a'));
      seen.push(await version());
      await add(ca('b'));
      seen.push(await version());
      await remove('a');
      seen.push(await version());
      expect(seen).toEqual([...new Set(seen)].sort((one, two) => one - two));
      await remove('a');
      expect(await version()).toBe(seen.at(-1));
    });

    it('take their version back with a work that fails', async () => {
      const before = await version();
      const work = current().write(async (tx) => {
        await tx.addTrustedCa(ca('a'));
        expect(await tx.trustVersion()).toBeGreaterThan(before);
        throw new Error('no');
      });
      await expect(work).rejects.toThrow('no');
      expect(await version()).toBe(before);
      expect(await current().read.listTrustedCas()).toEqual([]);
    });
  });

  describe('approvals', () => {
    const key = (name: string, more: Partial<ApprovalKey> = {}): ApprovalKey => ({
      namespace: 'acme',
      serialNumber: 'SN-1',
      keyHash: hashOf(name),
      profile: 'ldevid',
      ...more,
    });
    const vouchedBy = 'idevid:acme/0102';
    const add = (...keys: readonly ApprovalKey[]) =>
      current().write(async (tx) => {
        for (const one of keys) await tx.addApproval(one, vouchedBy, NOW);
      });
    const idOf = async (one: ApprovalKey) => (await current().read.findApproval(one))?.id ?? 0;
    const decide = (id: number, state: 'approved' | 'denied', at = NOW + 5) =>
      current().write((tx) => tx.decideApproval(id, state, 'operator:anna', at));

    it('wait until somebody decides, and no other waits for that', async () => {
      expect(await current().read.findApproval(key('a'))).toBeUndefined();
      await add(key('a'), key('b'));
      const id = await idOf(key('a'));
      const waiting = { ...key('a'), id, vouchedBy, state: 'waiting', requestedAt: NOW };
      expect(await current().read.findApproval(key('a'))).toEqual(waiting);
      const approved = { ...waiting, state: 'approved', decidedAt: NOW + 5, decidedBy: 'operator:anna' };
      expect(await decide(id, 'approved')).toEqual(approved);
      expect(await current().read.findApproval(key('a'))).toEqual(approved);
      expect(await current().read.findApproval(key('b'))).toMatchObject({ state: 'waiting' });
    });

    it('are of one key of one device for one profile', async () => {
      await add(key('a'));
      const others = [
        key('b'),
        key('a', { namespace: 'bolt' }),
        key('a', { serialNumber: 'SN-2' }),
        key('a', { profile: 'server' }),
      ];
      for (const other of others) expect(await current().read.findApproval(other)).toBeUndefined();
      await add(...others);
      await expect(add(key('c'), key('a'))).rejects.toEqual(coded('already-exists'));
      expect(await current().read.findApproval(key('c'))).toBeUndefined();
    });

    it('may be decided anew, and one that is not there is not decided', async () => {
      await add(key('a'));
      const id = await idOf(key('a'));
      await decide(id, 'approved');
      expect(await decide(id, 'denied', NOW + 9)).toMatchObject({ state: 'denied', decidedAt: NOW + 9 });
      expect(await decide(id + 1, 'approved')).toBeUndefined();
    });

    it('are listed newest first, all or those of a state, page by page', async () => {
      const keys = ['a', 'b', 'c', 'd', 'e'].map((name) => key(name));
      await add(...keys);
      for (const name of ['b', 'd']) await decide(await idOf(key(name)), 'denied');
      const list = async (state?: 'waiting' | 'approved' | 'denied') => {
        const all = await allPages(
          (page) => current().read.listApprovals({ ...page, ...(state && { state }) }),
          {
            limit: 2,
          },
        );
        return all.map(({ keyHash }) =>
          ['a', 'b', 'c', 'd', 'e'].find((name) => hashOf(name).equals(keyHash)),
        );
      };
      expect(await list()).toEqual(['e', 'd', 'c', 'b', 'a']);
      expect(await list('waiting')).toEqual(['e', 'c', 'a']);
      expect(await list('denied')).toEqual(['d', 'b']);
      expect(await list('approved')).toEqual([]);
      const { read } = current();
      await expect(read.listApprovals({ limit: 1, cursor: 'e30' })).rejects.toEqual(coded('bad-request'));
    });
  });
}
