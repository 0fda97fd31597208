import { expect, test } from 'vitest';
import { activateGeneration } from '../../src/ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../src/ca/rollover/prepare-generation.ts';
import { createIdentifier, type DeviceIdentity } from '../../src/enroll/identify.ts';
import { assembleSigned, encodeTbsCertificate, parseCertificate } from '../../src/x509/certificate.ts';
import { extension } from '../../src/x509/extensions.ts';
import { recordAuthority } from '../ca/record-authority.ts';
import { codeOfAsync, DAY_MS, newKey, openTestHouse, type TestHouse } from '../house.ts';

const at = (house: TestHouse) => house.clock.now();

async function identify(
  house: TestHouse,
  leaf: Uint8Array,
  { graceMs = 0, chain = [] }: { graceMs?: number; chain?: readonly Uint8Array[] } = {},
): Promise<DeviceIdentity> {
  return createIdentifier(house)({ leaf, chain, via: 'tls' }, { at: at(house), graceMs });
}

/** A certificate with the same fields but for its serial number or its end, as whoever has the authority's key could sign it. */
async function signedAgain(house: TestHouse, der: Uint8Array, notAfter: number): Promise<Buffer> {
  const signer = house.authorities.get('ldevid')?.signer;
  const { tbs } = parseCertificate(der);
  if (!signer) throw new Error('there is no authority ldevid');
  const again = encodeTbsCertificate({
    ...tbs,
    notBefore: tbs.notBefore.at,
    notAfter,
    extensions: tbs.extensions.map(({ oid, critical, value }) => extension(oid, critical, value)),
  });
  return assembleSigned(again, tbs.signatureAlgorithm, await signer.sign(again));
}

test('a device is known by its certificate, with what the ledger holds of it', async () => {
  using house = await openTestHouse();
  const { certificate, serial } = await house.grant('SN-1', { profile: 'ldevid' });
  // Ours need no chain: what is between them and the root is known here.
  expect(await identify(house, certificate)).toMatchObject({
    voucher: 'ldevid',
    device: { namespace: 'own', serialNumber: 'SN-1' },
    vouchedBy: `certificate:${Buffer.from(serial).toString('hex')}`,
    record: { serial, profile: 'ldevid' },
  });
  const idevid = await house.grant('SN-1');
  expect(await identify(house, idevid.certificate)).toMatchObject({ voucher: 'idevid' });
});

test('a certificate that our authority signed and the ledger does not have to the octet is refused', async () => {
  using house = await openTestHouse();
  const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
  const { notAfter } = parseCertificate(certificate).tbs;
  expect((await identify(house, await signedAgain(house, certificate, notAfter.at))).voucher).toBe('ldevid');
  const longer = await signedAgain(house, certificate, notAfter.at + DAY_MS);
  expect(await codeOfAsync(identify(house, longer))).toBe('certificate-refused');
});

test('the signature that the ledger has is not verified again, and any other one is', async () => {
  using house = await openTestHouse();
  const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
  const broken = Buffer.from(certificate);
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  expect((await identify(house, certificate)).voucher).toBe('ldevid');
  expect(await codeOfAsync(identify(house, broken))).toBe('certificate-refused');
  // What is known to be signed can still have ended.
  house.clock.pass(10 * 365 * DAY_MS);
  expect(await codeOfAsync(identify(house, certificate))).toBe('certificate-refused');
});

test('one of another house with the same authorities is refused', async () => {
  using house = await openTestHouse();
  using other = await openTestHouse();
  const { certificate } = await other.grant('SN-1', { profile: 'ldevid', key: newKey() });
  expect(await codeOfAsync(identify(other, certificate))).toBe('accepted');
  expect(await codeOfAsync(identify(house, certificate))).toBe('certificate-refused');
});

test('the grace is for LDevIDs that were good up to their end, and for no longer than it lasts', async () => {
  using house = await openTestHouse({ profiles: { idevid: { validityDays: 90 } } });
  const ldevid = await house.grant('SN-1', { profile: 'ldevid' });
  const idevid = await house.grant('SN-1');
  house.clock.pass(parseCertificate(ldevid.certificate).tbs.notAfter.at - at(house) + 1);
  const verdict = (leaf: Uint8Array, graceMs: number) => codeOfAsync(identify(house, leaf, { graceMs }));
  expect(await verdict(ldevid.certificate, 0)).toBe('certificate-refused');
  expect(await verdict(ldevid.certificate, 1)).toBe('accepted');
  expect(await verdict(idevid.certificate, 1)).toBe('certificate-refused');
  house.clock.pass(1);
  expect(await verdict(ldevid.certificate, 1)).toBe('certificate-refused');
});

test('what is no certificate is refused', async () => {
  using house = await openTestHouse();
  for (const leaf of [Buffer.of(), Buffer.of(0x30, 0), Buffer.from('certificate')])
    expect(await codeOfAsync(identify(house, leaf))).toBe('certificate-refused');
});

test('what an authority issued is refused once that was taken back, under whichever one issues now', async () => {
  using house = await openTestHouse();
  const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
  const idevid = await house.grant('SN-1');
  const { serial } = await recordAuthority(house, 'ldevid');
  await prepareGeneration(house.rollover, { family: 'ldevid' }, 'operator:test');
  await activateGeneration(house.rollover, { family: 'ldevid', now: true }, 'operator:test');
  expect(await codeOfAsync(identify(house, certificate))).toBe('accepted');
  const by = { kind: 'serial', serial } as const;
  await house.revoker({ by, act: 'revoke', reason: 'cACompromise' }, 'operator:test');
  await house.standing.look();
  expect(await codeOfAsync(identify(house, certificate))).toBe('certificate-revoked');
  expect(await codeOfAsync(identify(house, idevid.certificate))).toBe('accepted');
});

test('a generation that came since is known to who was there before', async () => {
  using house = await openTestHouse();
  const judge = createIdentifier(house);
  const roll = async (family: string) => {
    await prepareGeneration(house.rollover, { family }, 'operator:test');
    await activateGeneration(house.rollover, { family, now: true }, 'operator:test');
  };
  await roll('root');
  await roll('ldevid');
  const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
  const identity = await judge({ leaf: certificate, chain: [], via: 'tls' }, { at: at(house), graceMs: 0 });
  expect(identity.record?.authority).toBe('ldevid-2');
});
