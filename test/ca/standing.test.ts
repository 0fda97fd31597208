import { expect, test } from 'vitest';
import { publishDueCrls } from '../../src/ca/publish-due-crls.ts';
import { codeOfAsync, newCsr, openTestHouse, outcomeCode } from '../house.ts';
import { openResponding, question } from './ocsp/responding.ts';
import { recordAuthority } from './record-authority.ts';

const OPERATOR = 'operator:test';

test.each(['revoke', 'hold'] as const)(
  'an authority issues nothing after a %s of its own certificate, and its neighbour still does',
  async (act) => {
    using house = await openTestHouse();
    const { serial } = await recordAuthority(house, 'ldevid');
    await house.standing.look();
    expect(outcomeCode(await house.ask('SN-1', { profile: 'ldevid' }))).toBe('granted');
    await house.revoker({ act, by: { kind: 'serial', serial } }, OPERATOR);
    await house.standing.look();
    expect(outcomeCode(await house.ask('SN-2', { profile: 'ldevid' }))).toBe('authority-revoked');
    // A lost answer is not given again either.
    expect(outcomeCode(await house.ask('SN-1', { profile: 'ldevid' }))).toBe('authority-revoked');
    expect(outcomeCode(await house.ask('SN-2', { profile: 'idevid' }))).toBe('granted');
    if (act === 'revoke') return;
    await house.revoker({ act: 'release', by: { kind: 'serial', serial } }, OPERATOR);
    await house.standing.look();
    expect(outcomeCode(await house.ask('SN-2', { profile: 'ldevid' }))).toBe('granted');
  },
);

test('the service authority issues nothing after its revocation', async () => {
  using house = await openTestHouse();
  const { serial } = await recordAuthority(house, 'service');
  const request = {
    profile: house.issuing.profile('server'),
    csr: newCsr(),
    name: 'broker',
    dns: ['broker.example'],
    ip: [],
  };
  expect(await codeOfAsync(house.issueService(request, 'local'))).toBe('accepted');
  await house.revoker({ act: 'revoke', by: { kind: 'serial', serial } }, OPERATOR);
  await house.standing.look();
  expect(await codeOfAsync(house.issueService({ ...request, csr: newCsr() }, 'local'))).toBe(
    'authority-revoked',
  );
});

test('the lists and OCSP answers of an authority go on after its revocation, and its signer is renewed', async () => {
  using house = await openTestHouse();
  using responding = await openResponding(house);
  const device = await house.grant('SN-1', { profile: 'ldevid' });
  const { serial } = await recordAuthority(house, 'ldevid');
  await house.revoker({ act: 'revoke', by: { kind: 'serial', serial }, reason: 'keyCompromise' }, OPERATOR);
  await house.standing.look();
  house.clock.pass(12 * 86_400_000);
  expect(await responding.renew()).toContain('ldevid');
  await publishDueCrls(house.crls, house.clock.now());
  const crl = await house.ledger.read.findCrl('ldevid', 'full');
  expect(crl?.nextUpdate).toBeGreaterThan(house.clock.now());
  await house.revoker({ act: 'revoke', by: { kind: 'serial', serial: device.serial } }, OPERATOR);
  const answer = await responding.respond(question(house, device.serial, { authority: 'ldevid' }));
  expect(answer.kind).toBe('answer');
});
