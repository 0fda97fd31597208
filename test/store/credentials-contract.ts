import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/enroll/ports.ts';
import { allPages, coded } from './reading.ts';
import { audit, hashOf, NOW, operator, ticket, token } from './samples.ts';

/** Tokens, tickets and operators; and what is written down of every act. */
export function credentialsContract(current: () => Ledger): void {
  describe('tokens', () => {
    it('are found with all their limits', async () => {
      const limits = { profiles: ['idevid', 'ldevid'], serialPattern: 'SN-*', batch: 'B-7', count: 5 };
      const both = [token('line-1'), token('line-2', limits)];
      for (const one of both) await current().write((tx) => tx.addToken(one));
      expect(await current().read.findToken(both[0]?.id ?? '')).toEqual(both[0]);
      expect(await current().read.findToken(both[1]?.id ?? '')).toEqual(both[1]);
      expect(await current().read.findToken('ffffffffffffffff')).toBeUndefined();
      expect(await allPages((page) => current().read.listTokens(page), { limit: 1 })).toEqual(both);
    });

    it('refuse a name that is in use, and take it once the other is revoked', async () => {
      const add = (id: string) => current().write((tx) => tx.addToken(token('line-1', { id })));
      const revoke = (at: number) => current().write((tx) => tx.revokeToken('line-1', at));
      await add('0000000000000001');
      await expect(add('0000000000000002')).rejects.toEqual(coded('already-exists'));
      expect(await revoke(NOW)).toBe(true);
      expect(await revoke(NOW + 1)).toBe(false);
      await add('0000000000000002');
      expect(await current().read.findToken('0000000000000001')).toMatchObject({ revokedAt: NOW });
    });

    it('count what was issued by them', async () => {
      const one = token('line-1');
      await current().write((tx) => tx.addToken(one));
      await Promise.all([3, 4].map((count) => current().write((tx) => tx.countToken(one.id, count))));
      expect(await current().read.findToken(one.id)).toMatchObject({ used: 7 });
    });
  });

  describe('tickets', () => {
    const bind = (id: string, key: string) => current().write((tx) => tx.bindTicket(id, hashOf(key)));

    it('are bound to the first key, and to no other', async () => {
      await current().write((tx) => tx.addTicket(ticket('4f2a')));
      expect(await current().read.findTicket('4f2a')).toEqual(ticket('4f2a'));
      await bind('4f2a', 'first');
      await bind('4f2a', 'first');
      await expect(bind('4f2a', 'second')).rejects.toEqual(coded('ticket-bound'));
      expect(await current().read.findTicket('4f2a')).toEqual(
        ticket('4f2a', { boundKeyHash: hashOf('first') }),
      );
    });

    it('that do not exist are neither found nor bound', async () => {
      expect(await current().read.findTicket('4f2a')).toBeUndefined();
      await expect(bind('4f2a', 'first')).rejects.toEqual(coded('not-found'));
    });
  });

  it('finds operators by the serial of their certificate', async () => {
    const anna = operator('anna');
    await current().write((tx) => tx.registerOperator(anna));
    expect(await current().read.findOperator(anna.serial)).toEqual(anna);
    expect(await current().read.findOperator(operator('otto').serial)).toBeUndefined();
  });

  it('lists audit records and incidents oldest first, page by page, with ids that grow', async () => {
    const records = ['a', 'b', 'c'].map((subject) =>
      audit(subject, { facts: { serial: subject, tries: 2, ok: true } }),
    );
    const incident = { at: NOW, kind: 'key-in-use', subject: 'device:own/SN-1', facts: { other: 'SN-2' } };
    await current().write(async (tx) => {
      await tx.appendAudit([...records, audit('d')]);
      await tx.appendIncidents([incident]);
    });
    const listed = await allPages((page) => current().read.listAudit(page), { limit: 2 });
    expect(listed.map(({ id, ...record }) => record)).toEqual([...records, audit('d')]);
    expect(listed.every(({ id }, at) => at === 0 || id > (listed[at - 1]?.id ?? Infinity))).toBe(true);
    expect((await current().read.listIncidents({ limit: 10 })).items).toMatchObject([incident]);
  });
}
