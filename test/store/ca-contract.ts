import { describe, expect, it } from 'vitest';
import type { AuthorityRecord } from '../../src/ca/ports.ts';
import type { Ledger } from '../../src/enroll/ports.ts';
import { coded } from './reading.ts';
import { device, hashOf, NOW, reservation, serialOf } from './samples.ts';

/** Certificates, keys, authorities and CRLs. */
export function caContract(current: () => Ledger): void {
  describe('certificates', () => {
    it('are found by serial and by device, first reserved, then signed', async () => {
      const [deviceId = 0] = await current().write((tx) => tx.addDevices([device('SN-1')]));
      const wanted = reservation('SN-1', { deviceId });
      const [id = 0] = await current().write((tx) => tx.reserve([wanted]));
      expect(await current().read.findBySerial(wanted.serial)).toEqual({ ...wanted, id });
      const signature = Buffer.from('signature');
      expect(await current().write((tx) => tx.commit([{ id, signature }]))).toEqual([signature]);
      expect(await current().read.findByDevices([deviceId])).toEqual([{ ...wanted, id, signature }]);
      expect(await current().read.findByDevices([deviceId + 1])).toEqual([]);
      expect(await current().read.findBySerial(serialOf('another'))).toBeUndefined();
    });

    it('of several devices come oldest first', async () => {
      const [one = 0, two = 0] = await current().write((tx) =>
        tx.addDevices([device('SN-1'), device('SN-2')]),
      );
      await current().write((tx) =>
        tx.reserve([two, one, two].map((deviceId, at) => reservation(`${at}`, { deviceId }))),
      );
      const found = await current().read.findByDevices([one, two, one]);
      expect(found.map(({ holder }) => holder)).toEqual(['0', '1', '2']);
    });

    it('never share a serial, whatever their authorities', async () => {
      await current().write((tx) => tx.reserve([reservation('SN-1')]));
      const same = reservation('SN-2', { serial: serialOf('SN-1'), authority: 'ldevid' });
      const work = current().write((tx) => tx.reserve([reservation('SN-3'), same]));
      await expect(work).rejects.toEqual(coded('already-exists'));
      expect(await current().read.findBySerial(serialOf('SN-3'))).toBeUndefined();
    });

    it('keep the first signature where two processes finish one reservation', async () => {
      const [id = 0] = await current().write((tx) => tx.reserve([reservation('SN-1')]));
      const sign = (text: string) =>
        current().write((tx) => tx.commit([{ id, signature: Buffer.from(text) }]));
      expect(await sign('first')).toEqual([Buffer.from('first')]);
      expect(await sign('second')).toEqual([Buffer.from('first')]);
    });

    it('are not signed without a reservation', async () => {
      const work = current().write((tx) => tx.commit([{ id: 12345, signature: Buffer.from('x') }]));
      await expect(work).rejects.toEqual(coded('ledger-failed'));
    });

    it('that are only reserved are listed oldest first until they are signed', async () => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      const ids = await current().write((tx) => tx.reserve(names.map((name) => reservation(name))));
      const sign = [ids[1], ids[2], ids[4]].map((id = 0) => ({ id, signature: Buffer.from('x') }));
      await current().write((tx) => tx.commit(sign));
      const reserved = await current().read.findReserved(10);
      expect(reserved).toEqual([
        { ...reservation('a'), id: ids[0] },
        { ...reservation('d'), id: ids[3] },
      ]);
      expect((await current().read.findReserved(1)).map(({ holder }) => holder)).toEqual(['a']);
    });

    it('tell the latest time of a reservation, even when the clock went back after it', async () => {
      expect(await current().read.latestReservation()).toBe(0);
      await current().write((tx) =>
        tx.reserve([reservation('a', { reservedAt: NOW + 5 }), reservation('b')]),
      );
      await current().write((tx) => tx.reserve([reservation('c', { reservedAt: NOW - 5 })]));
      expect(await current().read.latestReservation()).toBe(NOW + 5);
    });

    it('may be as large as ML-DSA makes them', async () => {
      const large = reservation('SN-1', { tbs: Buffer.alloc(9_000, 7) });
      const signature = Buffer.alloc(4_627, 9);
      const [id = 0] = await current().write((tx) => tx.reserve([large]));
      await current().write((tx) => tx.commit([{ id, signature }]));
      expect(await current().read.findBySerial(large.serial)).toEqual({ ...large, id, signature });
    });
  });

  describe('keys', () => {
    const find = (...names: string[]) => current().read.findKeys(names.map(hashOf));

    it('are found in order with their owners', async () => {
      const [deviceId = 0] = await current().write((tx) => tx.addDevices([device('SN-1')]));
      const claims = [
        { keyHash: hashOf('a'), deviceId },
        { keyHash: hashOf('b'), holder: 'server:host' },
      ];
      await current().write((tx) => tx.claimKeys(claims));
      expect(await find('b', 'never seen', 'a')).toEqual([claims[1], undefined, claims[0]]);
    });

    it('are refused to a second owner, with all that came with them', async () => {
      const claim = (...names: string[]) =>
        current().write((tx) =>
          tx.claimKeys(names.map((name) => ({ keyHash: hashOf(name), holder: 'server:host' }))),
        );
      await claim('a');
      await expect(claim('b', 'a')).rejects.toEqual(coded('already-exists'));
      expect(await find('b')).toEqual([undefined]);
    });

    it('are blocked whether they were seen or not, and the first reason stays', async () => {
      await current().write((tx) => tx.claimKeys([{ keyHash: hashOf('seen'), holder: 'server:host' }]));
      await current().write(async (tx) => {
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
      changes: 0,
      endedBefore: 0,
      idp: false,
      crl: Buffer.from(`crl ${number}`),
      ...more,
    });

    const authority = (name: string, more: Partial<AuthorityRecord> = {}): AuthorityRecord => ({
      ...{ name, family: name, generation: 1, state: 'current', issuer: 'root' },
      certificate: Buffer.from(name),
      ...{ createdAt: NOW, publishedAt: NOW, activatedAt: NOW },
      ...more,
    });
    const second: AuthorityRecord = {
      ...{ name: 'idevid-2', family: 'idevid', generation: 2, state: 'prepared', issuer: 'root' },
      ...{ certificate: Buffer.from('second'), createdAt: NOW + 1 },
    };

    it('moves a generation and notes when, and lets one of a family be current', async () => {
      await current().write((tx) => tx.addAuthorities([authority('idevid')]));
      await current().write((tx) => tx.addAuthorities([second]));
      const third = { ...second, name: 'idevid-3', generation: 3 };
      const both = current().write((tx) => tx.addAuthorities([third]));
      await expect(both).rejects.toEqual(coded('already-exists'));
      const early = current().write((tx) => tx.moveAuthority('idevid-2', 'current', NOW + 2));
      await expect(early).rejects.toEqual(coded('already-exists'));
      await current().write(async (tx) => {
        await tx.notePublishedAuthority('idevid-2', NOW + 2);
        await tx.notePublishedAuthority('idevid-2', NOW + 9);
        await tx.moveAuthority('idevid', 'former', NOW + 3);
        await tx.moveAuthority('idevid-2', 'current', NOW + 3);
      });
      expect(await current().read.listAuthorities()).toEqual([
        { ...authority('idevid'), state: 'former', formerAt: NOW + 3 },
        { ...second, state: 'current', publishedAt: NOW + 2, activatedAt: NOW + 3 },
      ]);
    });

    it('begins a status epoch with each authority that comes later, so that gates learn of it', async () => {
      const before = await current().read.statusEpoch();
      await current().write((tx) => tx.addAuthorities([authority('idevid')]));
      expect(await current().read.statusEpoch()).toBe(before);
      await current().write((tx) => tx.addAuthorities([second]));
      expect(await current().read.statusEpoch()).not.toBe(before);
    });

    it('keeps what roots certify across, each pair once', async () => {
      const cross = { subject: 'root', issuer: 'root-2', certificate: Buffer.from('cross') };
      await current().write((tx) => tx.addCrossCertificates([cross]));
      const again = current().write((tx) => tx.addCrossCertificates([cross]));
      await expect(again).rejects.toEqual(coded('already-exists'));
      expect(await current().read.listCrossCertificates()).toEqual([cross]);
    });

    it('counts what stands under an authority: not what ended, was taken back, or is its own', async () => {
      const of = (name: string, more: object = {}) =>
        reservation(name, { authority: 'ldevid', notAfter: NOW + 1000, ...more });
      const all = [
        of('own'),
        of('good'),
        of('later', { notAfter: NOW + 5000 }),
        of('ended', { notAfter: NOW - 1 }),
        of('responder', { profile: 'ocsp-responder' }),
        of('crossed', { profile: 'cross' }),
        of('other', { authority: 'ldevid-2' }),
        of('revoked'),
        of('held'),
      ];
      const ids = await current().write((tx) => tx.reserve(all));
      const taken = (at: number, held: boolean) => ({
        ...{ id: ids[at] ?? 0, serial: all[at]?.serial ?? new Uint8Array(), authority: 'ldevid', shard: 0 },
        ...{ notAfter: NOW + 1000, held, revokedAt: NOW, discoveredAt: NOW, decidedAt: NOW, recordedAt: NOW },
        by: 'local',
      });
      await current().write((tx) => tx.putRevocations([taken(7, false), taken(8, true)]));
      const count = (now: number) => current().read.countStanding('ldevid', now, ids[0] ?? 0);
      expect(await count(NOW)).toEqual({ certificates: 3, until: NOW + 5000 });
      expect(await count(NOW + 1001)).toEqual({ certificates: 1, until: NOW + 5000 });
      expect(await count(NOW + 5001)).toEqual({ certificates: 0 });
    });

    it('lists authorities in the order in which they came, each name once', async () => {
      const both = [authority('root'), authority('idevid')];
      await current().write((tx) => tx.addAuthorities(both));
      const again = current().write((tx) => tx.addAuthorities([authority('root')]));
      await expect(again).rejects.toEqual(coded('already-exists'));
      expect(await current().read.listAuthorities()).toEqual(both);
    });

    it('counts the numbers of each scope by itself', async () => {
      const take = (authority: string, scope: string) =>
        current().write((tx) => tx.takeCrlNumber(authority, scope));
      expect(await take('idevid', 'full')).toBe(1);
      expect(await take('idevid', 'full')).toBe(2);
      expect(await take('idevid', '3')).toBe(1);
      expect(await take('ldevid', 'full')).toBe(1);
    });

    it('replaces the CRL of a scope', async () => {
      await current().write((tx) => tx.publishCrl(crl(1)));
      await current().write((tx) => tx.publishCrl(crl(2)));
      await current().write((tx) => tx.publishCrl(crl(1, { scope: '3' })));
      expect(await current().read.findCrl('idevid', 'full')).toMatchObject(crl(2));
      expect(await current().read.findCrl('ldevid', 'full')).toBeUndefined();
      const listed = await current().read.listCrls('idevid');
      expect(listed.map(({ scope, number }) => [scope, number])).toEqual([
        ['3', 1],
        ['full', 2],
      ]);
      expect(listed[0]).not.toHaveProperty('crl');
    });

    it('never puts a CRL in the place of one with a higher number', async () => {
      await current().write((tx) => tx.publishCrl(crl(2)));
      await current().write((tx) => tx.publishCrl(crl(1)));
      expect(await current().read.findCrl('idevid', 'full')).toMatchObject(crl(2));
    });
  });
}
