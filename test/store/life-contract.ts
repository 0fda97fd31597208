import { describe, expect, it } from 'vitest';
import type { Ledger } from '../../src/enroll/ports.ts';
import type { NewRotation } from '../../src/fleet/ports.ts';
import { coded } from './reading.ts';
import { device, NOW, reservation, revocation } from './samples.ts';

const IDEVID = new Set(['idevid']);
const LATER = NOW + 1_000_000;

/** Rotations, calls for renewal, quarantines, and what states are worked out from. */
export function lifeContract(current: () => Ledger): void {
  const addDevice = async (serialNumber: string): Promise<number> => {
    const [id = 0] = await current().write((tx) => tx.addDevices([device(serialNumber)]));
    return id;
  };
  const issue = async (name: string, deviceId: number, profile = 'ldevid'): Promise<number> => {
    const more = { deviceId, profile, authority: profile, notAfter: LATER };
    const [id = 0] = await current().write((tx) => tx.reserve([reservation(name, more)]));
    return id;
  };
  const facts = async (...ids: number[]) => current().read.findLifeFacts(ids, IDEVID, NOW);

  describe('what says whether a certificate may speak', () => {
    it('is found by its serial at once, and is as the single reads say it', async () => {
      const deviceId = await addDevice('SN-1');
      const certificate = reservation('shown', { deviceId, notAfter: LATER });
      const { serial, keyHash } = certificate;
      const find = () => current().read.findCredential(serial);
      expect(await find()).toBeUndefined();
      const [id = 0] = await current().write(async (tx) => {
        await tx.claimKeys([{ keyHash, deviceId }]);
        return tx.reserve([certificate]);
      });
      const record = await current().read.findBySerial(serial);
      const named = { namespace: device('SN-1').namespace, serialNumber: 'SN-1' };
      expect(await find()).toEqual({ record, device: named, keyBlocked: false });
      await current().write((tx) => tx.putRevocations([revocation(id, 'shown', { held: true })]));
      expect((await find())?.takenBack).toBe('held');
      await current().write((tx) => tx.putRevocations([revocation(id, 'shown', { held: false })]));
      await current().write((tx) => tx.blockKey(keyHash, 'test', NOW));
      expect(await find()).toMatchObject({ takenBack: 'revoked', keyBlocked: true });
    });

    it('has no device where it is of a service', async () => {
      const certificate = reservation('service', { deviceId: null });
      await current().write((tx) => tx.reserve([certificate]));
      const found = await current().read.findCredential(certificate.serial);
      expect([found?.record.serial, found?.device]).toEqual([certificate.serial, undefined]);
    });
  });

  describe('rotations', () => {
    const two = async (serialNumber: string): Promise<NewRotation> => {
      const deviceId = await addDevice(serialNumber);
      const oldId = await issue(`${serialNumber} old`, deviceId);
      const newId = await issue(`${serialNumber} new`, deviceId);
      const rotation = { deviceId, oldId, newId, begunAt: NOW, dueAt: LATER };
      await current().write((tx) => tx.addRotations([rotation]));
      return rotation;
    };

    it('are found by device and by either certificate, and by nothing else', async () => {
      const rotation = await two('SN-1');
      const { deviceId, oldId, newId } = rotation;
      const found = [{ id: 1, state: 'open', ...rotation }];
      const { read } = current();
      expect(await read.findRotationsOf([deviceId])).toEqual(found);
      expect(await read.findRotationsWith([oldId])).toEqual(found);
      expect(await read.findRotationsWith([newId, oldId])).toEqual(found);
      expect(await read.findRotationsOf([deviceId + 1])).toEqual([]);
      expect(await read.findRotationsWith([newId + 1])).toEqual([]);
    });

    it('refuse a second one to the same new certificate', async () => {
      const rotation = await two('SN-1');
      await expect(current().write((tx) => tx.addRotations([rotation]))).rejects.toEqual(
        coded('already-exists'),
      );
    });

    it('are used once, come due, and end', async () => {
      await two('SN-1');
      const { read } = current();
      await current().write((tx) => tx.noteRotationsUsed([1], NOW + 1, NOW + 5));
      await current().write((tx) => tx.noteRotationsUsed([1], NOW + 2, NOW + 9));
      expect(await read.countRotations()).toEqual({ open: 0, used: 1, conflict: 0 });
      expect(await read.listDueRotations(NOW + 4, 9)).toEqual([]);
      expect(await read.listDueRotations(NOW + 5, 9)).toMatchObject([
        { id: 1, state: 'used', usedAt: NOW + 1, dueAt: NOW + 5 },
      ]);
      await current().write((tx) => tx.endRotations([1], 'conflict', NOW + 6));
      expect(await read.listDueRotations(LATER, 9)).toEqual([]);
      expect(await read.countRotations()).toEqual({ open: 0, used: 0, conflict: 1 });
    });

    it('end where one of the two is revoked, not where it is held', async () => {
      const held = await two('SN-1');
      const revoked = await two('SN-2');
      await current().write(async (tx) => {
        await tx.putRevocations([
          revocation(held.oldId, 'SN-1 old', { held: true }),
          revocation(revoked.newId, 'SN-2 new'),
        ]);
        await tx.endBrokenRotations([held.deviceId, revoked.deviceId], NOW + 1);
      });
      const states = (await current().read.findRotationsOf([held.deviceId, revoked.deviceId])).map(
        ({ state }) => state,
      );
      expect(states).toEqual(['open', 'ended']);
    });
  });

  describe('calls for renewal', () => {
    it('are found earliest first, take the place of those of their cause, and are taken back by cause', async () => {
      const deviceId = await addDevice('SN-1');
      const certificateId = await issue('a', deviceId);
      const call = {
        certificateId,
        cause: 'operator',
        at: NOW + 9,
        calledAt: NOW,
        calledBy: 'operator:anna',
      };
      await current().write((tx) => tx.callRenewals([call, { ...call, cause: 'campaign:7', at: NOW + 3 }]));
      await current().write((tx) => tx.callRenewals([{ ...call, at: NOW + 5 }]));
      const found = async () =>
        (await current().read.findRenewalCalls([certificateId])).map(({ cause, at }) => [cause, at - NOW]);
      expect(await found()).toEqual([
        ['campaign:7', 3],
        ['operator', 5],
      ]);
      expect(await current().write((tx) => tx.dropRenewalCalls([certificateId], 'campaign:7'))).toBe(1);
      expect(await current().write((tx) => tx.dropRenewalCalls([certificateId], 'campaign:8'))).toBe(0);
      expect(await found()).toEqual([['operator', 5]]);
    });
  });

  describe('states', () => {
    it('are worked out from certificates, revocations, holds and sightings', async () => {
      const deviceId = await addDevice('SN-1');
      const idevid = await issue('idevid', deviceId, 'idevid');
      const [a, b, c] = [await issue('a', deviceId), await issue('b', deviceId), await issue('c', deviceId)];
      const none = { seen: false, ldevidCompromised: false, idevidCompromised: false, rotating: false };
      const counts = { liveLdevids: 3, heldLdevids: 0, liveIdevids: 1, heldIdevids: 0 };
      const named = { deviceId, namespace: 'own', serialNumber: 'SN-1', state: 'manufactured' };
      expect(await facts(deviceId, deviceId + 1)).toEqual([{ ...named, ...none, ...counts }]);
      await current().write(async (tx) => {
        await tx.putRevocations([
          revocation(a, 'a', { reason: 'keyCompromise' }),
          revocation(b, 'b', { held: true }),
          revocation(idevid, 'idevid', { held: true }),
        ]);
        await tx.addSightings([
          { id: c, seenAt: NOW, lastSeenAt: NOW, listener: 'mqtt', toldBy: 'token:gate' },
        ]);
      });
      expect(await facts(deviceId)).toMatchObject([
        {
          liveLdevids: 1,
          heldLdevids: 1,
          heldIdevids: 1,
          liveIdevids: 0,
          seen: true,
          ldevidCompromised: true,
        },
      ]);
    });

    it('have ended certificates count for nothing', async () => {
      const deviceId = await addDevice('SN-1');
      await issue('a', deviceId);
      const { read } = current();
      expect(await read.findLifeFacts([deviceId], IDEVID, LATER - 1)).toMatchObject([{ liveLdevids: 1 }]);
      expect(await read.findLifeFacts([deviceId], IDEVID, LATER)).toMatchObject([{ liveLdevids: 0 }]);
    });

    it('move many devices at once, and none where one is not there', async () => {
      const [a, b] = [await addDevice('SN-1'), await addDevice('SN-2')];
      const states = async () => (await current().read.findDevicesById([a, b])).map((one) => one?.state);
      const moves = [
        { deviceId: a, to: 'active' },
        { deviceId: b, to: 'held' },
      ] as const;
      await current().write((tx) => tx.moveDevices(moves));
      expect(await states()).toEqual(['active', 'held']);
      const more = [
        { deviceId: a, to: 'retired' },
        { deviceId: b + 9, to: 'held' },
      ] as const;
      await expect(current().write((tx) => tx.moveDevices(more))).rejects.toEqual(coded('device-unknown'));
      expect(await states()).toEqual(['active', 'held']);
    });

    it('are quarantined with a cause and the holds that it made, and come out of it', async () => {
      const deviceId = await addDevice('SN-1');
      const held = [await issue('a', deviceId)];
      const quarantine = { deviceId, cause: 'gate', since: NOW, orderedBy: 'token:gate', held } as const;
      await current().write((tx) => tx.addQuarantine(quarantine));
      const { read } = current();
      expect(await read.findQuarantine(deviceId)).toEqual(quarantine);
      expect(await facts(deviceId)).toMatchObject([{ state: 'quarantined' }]);
      await current().write((tx) => tx.endQuarantine(deviceId, 'enrolled'));
      expect(await read.findQuarantine(deviceId)).toBeUndefined();
      expect(await facts(deviceId)).toMatchObject([{ state: 'enrolled' }]);
      await current().write((tx) => tx.retireDevice(deviceId));
      expect(await facts(deviceId)).toMatchObject([{ state: 'retired' }]);
    });

    it('keep the latest word on dead tickets', async () => {
      const deviceId = await addDevice('SN-1');
      await current().write((tx) => tx.killTickets(deviceId, NOW));
      await current().write((tx) => tx.killTickets(deviceId, NOW - 5));
      expect(await current().read.findDevicesById([deviceId])).toMatchObject([{ ticketsAfter: NOW }]);
    });
  });
}
