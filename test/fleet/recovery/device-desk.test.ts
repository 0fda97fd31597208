import { describe, expect, test } from 'vitest';
import { codeOfAsync, openTestHouse, type TestHouse } from '../../house.ts';
import { living, refusalOf } from '../rotation/living.ts';

const own = (serialNumber: string) => ({ namespace: 'own', serialNumber });
const act = (house: TestHouse, what: Parameters<TestHouse['deviceDesk']>[0], serialNumber = 'SN-1') =>
  house.deviceDesk(what, own(serialNumber), 'operator:anna');
const hold = (house: TestHouse, serial: Uint8Array) =>
  house.revoker({ by: { kind: 'serial', serial }, act: 'hold' }, 'operator:anna');

describe('a quarantine', () => {
  test('holds all that a device has, closes every door, and its end releases what it held and nothing else', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid } = await life.enrolled('SN-1');
    const other = await life.come(idevid);
    await hold(house, other.serial);
    await life.see(ldevid);
    expect(await act(house, 'quarantine')).toEqual({ state: 'quarantined', changed: 2, published: true });
    expect([await life.status(idevid), await life.status(ldevid)]).toEqual(['held', 'held']);
    expect(await refusalOf(life.come(ldevid))).toBe('certificate-held');
    expect(await refusalOf(life.come(idevid))).toBe('certificate-held');
    expect(await refusalOf(house.grant('SN-1', { profile: 'ldevid' }))).toBe('device-restrained');
    expect(await act(house, 'release')).toMatchObject({ state: 'active', changed: 2 });
    expect([await life.status(idevid), await life.status(ldevid), await life.status(other)]).toEqual([
      'good',
      'good',
      'held',
    ]);
  });

  test('said twice changes nothing, and one that is not there cannot end', async () => {
    using house = await openTestHouse();
    await living(house).enrolled('SN-1');
    await act(house, 'quarantine');
    expect(await act(house, 'quarantine')).toMatchObject({ state: 'quarantined', changed: 0 });
    await act(house, 'release');
    expect(await codeOfAsync(act(house, 'release'))).toBe('bad-request');
  });

  test('of one device leaves the next one alone, and of none is refused', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid } = await life.enrolled('SN-2');
    await life.enrolled('SN-1');
    await act(house, 'quarantine');
    expect([await life.status(ldevid), await life.state('SN-2')]).toEqual(['good', 'enrolled']);
    expect(await codeOfAsync(act(house, 'quarantine', 'SN-9'))).toBe('device-unknown');
  });

  test('keeps what is revoked meanwhile revoked', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { ldevid } = await life.enrolled('SN-1');
    await act(house, 'quarantine');
    await house.revoker(
      { by: { kind: 'serial', serial: ldevid.serial }, act: 'revoke', reason: 'keyCompromise' },
      'operator:anna',
    );
    expect(await life.state('SN-1')).toBe('quarantined');
    expect(await act(house, 'release')).toMatchObject({ state: 'compromised' });
    expect(await life.status(ldevid)).toBe('keyCompromise');
  });
});

test('a quarantine that is said again never makes the way out easier', async () => {
  using house = await openTestHouse();
  const life = living(house);
  await life.enrolled('SN-1');
  const cause = async () => {
    const [device] = await house.ledger.read.findDevices([own('SN-1')]);
    return (await house.ledger.read.findQuarantine(device?.id ?? 0))?.cause;
  };
  await act(house, 'quarantineByGate');
  expect(await cause()).toBe('gate');
  await act(house, 'quarantine');
  expect(await cause()).toBe('operator');
  await act(house, 'quarantineByGate');
  expect(await cause()).toBe('operator');
  await act(house, 'recoverIdevid');
  await act(house, 'quarantine');
  expect(await cause()).toBe('compromise');
});

test('a hold of all that a device has shows in its state, and so does its release; of a part it does not', async () => {
  using house = await openTestHouse();
  const life = living(house);
  const { ldevid } = await life.enrolled('SN-1');
  await life.see(ldevid);
  await hold(house, ldevid.serial);
  expect(await life.state('SN-1')).toBe('held');
  await house.revoker({ by: { kind: 'serial', serial: ldevid.serial }, act: 'release' }, 'operator:anna');
  expect(await life.state('SN-1')).toBe('active');
});

test('a retired device has nothing left and never comes back, its neighbour lives on', async () => {
  using house = await openTestHouse();
  const life = living(house);
  const { idevid, ldevid } = await life.enrolled('SN-1');
  const { ldevid: neighbour } = await life.enrolled('SN-2');
  expect(await act(house, 'retire')).toEqual({ state: 'retired', changed: 2, published: true });
  expect([await life.status(idevid), await life.status(ldevid), await life.status(neighbour)]).toEqual([
    'cessationOfOperation',
    'cessationOfOperation',
    'good',
  ]);
  expect(await refusalOf(house.grant('SN-1', { profile: 'ldevid' }))).toBe('device-restrained');
  expect(await act(house, 'retire')).toMatchObject({ state: 'retired', changed: 0 });
  expect(await codeOfAsync(act(house, 'quarantine'))).toBe('device-restrained');
});

describe('a device whose LDevID is out', () => {
  test('comes back with its IDevID and a new key, and with neither key that it had', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid } = await life.enrolled('SN-1');
    const next = await life.come(ldevid, { renews: true });
    expect(await act(house, 'recoverLdevid')).toEqual({ state: 'compromised', changed: 2, published: true });
    expect([await life.status(ldevid), await life.status(next), await life.status(idevid)]).toEqual([
      'keyCompromise',
      'keyCompromise',
      'good',
    ]);
    expect(await refusalOf(life.come(ldevid))).toBe('certificate-revoked');
    expect(await refusalOf(life.come(idevid, { key: ldevid.key }))).toBe('key-blocked');
    const back = await life.come(idevid);
    expect(await life.state('SN-1')).toBe('recovering');
    await life.see(back);
    expect(await life.state('SN-1')).toBe('active');
  });

  test('comes back out of the quarantine of an operator too, whose hold of its IDevID ends', async () => {
    using house = await openTestHouse();
    const life = living(house);
    const { idevid, ldevid } = await life.enrolled('SN-1');
    await act(house, 'quarantine');
    expect(await act(house, 'recoverLdevid')).toMatchObject({ state: 'compromised' });
    expect([await life.status(idevid), await life.status(ldevid)]).toEqual(['good', 'keyCompromise']);
    await life.come(idevid);
    expect(await life.state('SN-1')).toBe('recovering');
  });

  test('has something to be taken back', async () => {
    using house = await openTestHouse();
    await living(house).born('SN-1');
    expect(await codeOfAsync(act(house, 'recoverLdevid'))).toBe('not-found');
  });
});

test('a device whose IDevID is out has nothing left that any door takes', async () => {
  using house = await openTestHouse();
  const life = living(house);
  const { idevid, ldevid } = await life.enrolled('SN-1');
  const byTicket = await house.grant('SN-1', { profile: 'ldevid' });
  expect(await act(house, 'recoverIdevid')).toMatchObject({ state: 'quarantined', changed: 3 });
  expect([await life.status(idevid), await life.status(ldevid), await life.status(byTicket)]).toEqual([
    'keyCompromise',
    'keyCompromise',
    'held',
  ]);
  for (const one of [idevid, ldevid]) expect(await refusalOf(life.come(one))).toBe('certificate-revoked');
  expect(await refusalOf(life.come(byTicket))).toBe('certificate-held');
  expect(await refusalOf(house.grant('SN-1', { profile: 'ldevid' }))).toBe('device-restrained');
  expect(await codeOfAsync(act(house, 'release'))).toBe('device-restrained');
});
