import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lintCertificate } from '../../../src/ca/lint/lint.ts';
import { activateGeneration } from '../../../src/ca/rollover/activate-generation.ts';
import { type GenerationOrder, prepareGeneration } from '../../../src/ca/rollover/prepare-generation.ts';
import { retireGeneration, standingUnder } from '../../../src/ca/rollover/retire-generation.ts';
import type { RolloverRoom } from '../../../src/ca/rollover/room.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { nameToText } from '../../../src/x509/name.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { validatePath } from '../../../src/x509/path/validate-path.ts';
import { BEGINNING, codeOfAsync, DAY_MS, newKey, openTestHouse, type TestHouse } from '../../house.ts';
import { recordAuthority } from '../record-authority.ts';

const ACTOR = 'operator:anna';

const prepare = (house: TestHouse, order: Partial<GenerationOrder> = {}, room: Partial<RolloverRoom> = {}) =>
  prepareGeneration({ ...house.rollover, ...room }, { family: 'ldevid', ...order }, ACTOR);
const activate = (house: TestHouse, now = true, family = 'ldevid') =>
  activateGeneration(house.rollover, { family, now }, ACTOR);
/** An hour and more after the switch, when another one may follow. */
const roll = async (house: TestHouse) => {
  await prepare(house);
  await activate(house);
  house.clock.pass(2 * 3_600_000);
};
const statesOf = async ({ ledger }: TestHouse) =>
  (await ledger.read.listAuthorities())
    .filter(({ family }) => family === 'ldevid')
    .map(({ name, state }) => `${name} ${state}`);
const issuerOf = (certificate: Uint8Array) => nameToText(parseCertificate(certificate).tbs.issuer);

describe('a generation that is prepared', () => {
  test('is known, published and has lists, and issues nothing yet', async () => {
    using house = await openTestHouse();
    const { record, made } = await prepare(house);
    expect(made).toBe(true);
    expect(record).toMatchObject({ name: 'ldevid-2', issuer: 'root', publishedAt: house.clock.now() });
    expect(await statesOf(house)).toEqual(['ldevid current', 'ldevid-2 prepared']);
    expect((await house.ledger.read.listCrls('ldevid-2')).map(({ scope }) => scope)).toContain('full');
    const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
    expect(issuerOf(certificate)).toBe('O=Lab, CN=Lab ldevid CA');
  });

  test('has a name, a key and addresses of its own, and passes the lint without a warning', async () => {
    using house = await openTestHouse();
    const { record } = await prepare(house, { algorithm: 'ec-p384', validityDays: 30 });
    const der = record.certificate;
    const root = house.authorities.get('root')?.certificate;
    const findings = lintCertificate(der, { kind: 'ca', ...(root && { issuer: root }) });
    expect(findings.filter(({ severity }) => severity !== 'notice')).toEqual([]);
    const { tbs } = parseCertificate(der);
    expect(nameToText(tbs.subject)).toBe('O=Lab, CN=Lab ldevid CA 2');
    expect(tbs.notAfter.at - tbs.notBefore.at).toBe(30 * DAY_MS);
    expect(new X509Certificate(der).publicKey.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
  });

  test.each([
    ['of a family that there is none of', { family: 'nobody' }, 'not-found'],
    ['of a generation, which is no family', { family: 'ldevid-2' }, 'not-found'],
    ['after one that does not issue', { from: 'ldevid-7' }, 'bad-request'],
    ['with the name of another authority', { commonName: 'Lab ldevid CA' }, 'name-invalid'],
  ])('is none %s', async (_title, order, code) => {
    using house = await openTestHouse();
    expect(await codeOfAsync(prepare(house, order))).toBe(code);
    expect((await statesOf(house)).length).toBe(1);
  });

  test('is the same where it is asked for again, and refused where another one is asked for', async () => {
    using house = await openTestHouse();
    const first = await prepare(house);
    const again = await prepare(house);
    expect([again.made, again.record]).toEqual([false, first.record]);
    expect(await codeOfAsync(prepare(house, { algorithm: 'ed25519' }))).toBe('already-exists');
    expect((await prepare(house, { algorithm: 'ec-p256' })).made).toBe(false);
  });

  test('is one where two operators ask at once', async () => {
    using house = await openTestHouse();
    const both = await Promise.all([prepare(house), prepare(house)]);
    expect(both.map(({ record }) => record.name)).toEqual(['ldevid-2', 'ldevid-2']);
    expect(both.filter(({ made }) => made)).toHaveLength(1);
    expect(await statesOf(house)).toEqual(['ldevid current', 'ldevid-2 prepared']);
  });

  test('is not made twice where the answer was lost, and the switch was behind it', async () => {
    using house = await openTestHouse();
    await prepare(house, { from: 'ldevid' });
    await activate(house);
    const again = await prepare(house, { from: 'ldevid' });
    expect([again.made, again.record.name, again.record.state]).toEqual([false, 'ldevid-2', 'current']);
    // Without a word of what it is to follow, it is taken for a mistake for an hour.
    expect(await codeOfAsync(prepare(house))).toBe('already-exists');
    expect((await prepare(house, { from: 'ldevid-2' })).record.name).toBe('ldevid-3');
  });
});

describe('the switch', () => {
  test('is refused before it was published for long enough, and done then', async () => {
    using house = await openTestHouse();
    expect(await codeOfAsync(activate(house, false))).toBe('authority-not-ready');
    await prepare(house);
    house.clock.pass(DAY_MS - 1);
    expect(await codeOfAsync(activate(house, false))).toBe('authority-not-ready');
    house.clock.pass(1);
    expect((await activate(house, false)).moved).toBe(true);
    expect(await statesOf(house)).toEqual(['ldevid former', 'ldevid-2 current']);
    expect((await activate(house, false)).moved).toBe(false);
  });

  test('makes what is issued from then on the new one’s, chain and lists with it', async () => {
    using house = await openTestHouse();
    await roll(house);
    const { certificate, chain } = await house.grant('SN-1', { profile: 'ldevid' });
    const authority = house.authorities.get('ldevid-2');
    expect(issuerOf(certificate)).toBe('O=Lab, CN=Lab ldevid CA 2');
    expect(chain).toEqual([authority?.certificate.raw]);
    expect(certificate.toString('latin1')).toMatch(/\/crl\/ldevid-2\/\d+\.crl/);
    expect(certificate.toString('latin1')).toContain('/ca/ldevid-2.cer');
  });

  test('gives a device that asks again with its key a certificate of the new one', async () => {
    using house = await openTestHouse();
    const key = newKey();
    const before = await house.grant('SN-1', { profile: 'ldevid', key });
    expect((await house.grant('SN-1', { profile: 'ldevid', key })).serial).toEqual(before.serial);
    await roll(house);
    const after = await house.grant('SN-1', { profile: 'ldevid', key });
    expect(issuerOf(after.certificate)).toBe('O=Lab, CN=Lab ldevid CA 2');
    expect((await house.grant('SN-1', { profile: 'ldevid', key })).serial).toEqual(after.serial);
  });

  test('reaches another process at its next look', async () => {
    using house = await openTestHouse();
    const { issuing, authorities } = house;
    const before = authorities.revision;
    await roll(house);
    expect(authorities.revision).not.toBe(before);
    expect(issuing.preparer('ldevid').authority.name).toBe('ldevid-2');
    expect(issuing.preparer('idevid').authority.name).toBe('idevid');
  });

  test('is refused to a generation that was revoked while it waited', async () => {
    using house = await openTestHouse();
    const { record } = await prepare(house);
    const by = { kind: 'serial', serial: parseCertificate(record.certificate).tbs.serial } as const;
    await house.revoker({ by, act: 'revoke', reason: 'cACompromise' }, ACTOR);
    expect(await codeOfAsync(activate(house))).toBe('authority-revoked');
    expect((await retireGeneration(house.rollover, 'ldevid-2', ACTOR)).record.state).toBe('retired');
    expect((await prepare(house)).record.name).toBe('ldevid-3');
  });
});

describe('a former generation', () => {
  test('is retired once nothing stands under it, and not before', async () => {
    using house = await openTestHouse();
    const { serial } = await house.grant('SN-1', { profile: 'ldevid' });
    expect(await codeOfAsync(retireGeneration(house.rollover, 'ldevid', ACTOR))).toBe('authority-in-use');
    await roll(house);
    expect(await standingUnder(house.rollover, 'ldevid')).toMatchObject({ certificates: 1 });
    expect(await codeOfAsync(retireGeneration(house.rollover, 'ldevid', ACTOR))).toBe('authority-in-use');
    await house.revoker({ by: { kind: 'serial', serial }, act: 'hold' }, ACTOR);
    expect(await standingUnder(house.rollover, 'ldevid')).toMatchObject({ certificates: 1 });
    await house.revoker({ by: { kind: 'serial', serial }, act: 'revoke', reason: 'superseded' }, ACTOR);
    expect(await standingUnder(house.rollover, 'ldevid')).toEqual({ certificates: 0 });
    expect((await retireGeneration(house.rollover, 'ldevid', ACTOR)).moved).toBe(true);
    expect((await retireGeneration(house.rollover, 'ldevid', ACTOR)).moved).toBe(false);
    expect(await statesOf(house)).toEqual(['ldevid retired', 'ldevid-2 current']);
  });

  test('is not retired in the moment in which another process may still issue by it', async () => {
    using house = await openTestHouse();
    await prepare(house);
    await activate(house);
    expect(await codeOfAsync(retireGeneration(house.rollover, 'ldevid', ACTOR))).toBe('authority-in-use');
    house.clock.pass(10_000);
    expect((await retireGeneration(house.rollover, 'ldevid', ACTOR)).moved).toBe(true);
  });

  test('that was revoked keeps nobody from issuing under the new one', async () => {
    using house = await openTestHouse();
    const { serial } = await recordAuthority(house, 'ldevid');
    await house.revoker({ by: { kind: 'serial', serial }, act: 'revoke', reason: 'cACompromise' }, ACTOR);
    await house.standing.look();
    expect(await codeOfAsync(house.grant('SN-1', { profile: 'ldevid' }))).toBe('authority-revoked');
    await roll(house);
    await house.standing.look();
    const { certificate } = await house.grant('SN-1', { profile: 'ldevid' });
    expect(issuerOf(certificate)).toBe('O=Lab, CN=Lab ldevid CA 2');
  });
});

describe('cut short', () => {
  const cut = () => {
    throw new Error('cut');
  };

  test('behind the key, it takes the key up again', async () => {
    using house = await openTestHouse();
    const keys: string[] = [];
    const obtainSigner: RolloverRoom['obtainSigner'] = (name, algorithm) => {
      const signer = house.rollover.obtainSigner(name, algorithm);
      keys.push(Buffer.from(signer.spki).toString('hex'));
      return signer;
    };
    const write = house.ledger.write;
    await expect(
      prepare(house, {}, { obtainSigner, ledger: { ...house.ledger, write: cut } }),
    ).rejects.toThrow('cut');
    expect(await statesOf(house)).toEqual(['ldevid current']);
    const { record } = await prepare(house, {}, { obtainSigner, ledger: { ...house.ledger, write } });
    expect(record.name).toBe('ldevid-2');
    expect(new Set(keys).size).toBe(1);
    expect(Buffer.from(parseCertificate(record.certificate).tbs.spki).toString('hex')).toBe(keys[0]);
  });

  test('behind the ledger, it is published when it is said again, or when it is activated', async () => {
    using house = await openTestHouse();
    await expect(prepare(house, {}, { publish: cut })).rejects.toThrow('cut');
    expect((await house.ledger.read.listAuthorities()).at(-1)?.publishedAt).toBeUndefined();
    house.clock.pass(5000);
    const { record, made } = await prepare(house);
    expect([made, record.publishedAt]).toEqual([false, house.clock.now()]);
  });
});

describe('a root', () => {
  const rollRoot = async (house: TestHouse) => {
    await prepare(house, { family: 'root', algorithm: 'ec-p384' });
    await activate(house, true, 'root');
  };
  const chainOf = (leaf: Uint8Array, anchor: Uint8Array, intermediates: readonly Uint8Array[]) =>
    validatePath(leaf, {
      trust: openTrust({ anchors: [anchor] }),
      untrusted: intermediates,
      at: BEGINNING + DAY_MS,
      purpose: 'clientAuth',
    }).reason;

  test('certifies across, both ways, with certificates that other programs and the lint take', async () => {
    using house = await openTestHouse();
    await rollRoot(house);
    const crossed = await house.ledger.read.listCrossCertificates();
    expect(crossed.map(({ subject, issuer }) => `${subject} by ${issuer}`)).toEqual([
      'root by root-2',
      'root-2 by root',
    ]);
    for (const { certificate, issuer } of crossed) {
      const by = house.authorities.get(issuer)?.certificate;
      const findings = lintCertificate(certificate, { kind: 'ca', ...(by && { issuer: by }) });
      expect(findings.filter(({ severity }) => severity !== 'notice')).toEqual([]);
    }
  });

  test('issues the next generations, whose chain leads to either root', async () => {
    using house = await openTestHouse();
    const before = await house.grant('SN-1', { profile: 'ldevid' });
    await rollRoot(house);
    await roll(house);
    expect(house.roster.current('ldevid')).toMatchObject({ name: 'ldevid-2' });
    const [old, fresh] = ['root', 'root-2'].map((name) => house.authorities.get(name)?.certificate.raw);
    if (!old || !fresh) throw new Error('there are no roots');
    const { certificate, chain } = await house.grant('SN-2', { profile: 'ldevid' });
    expect(chain).toHaveLength(2);
    expect([chainOf(certificate, old, chain), chainOf(certificate, fresh, chain)]).toEqual(['ok', 'ok']);
    expect(chainOf(certificate, old, chain.slice(0, 1))).not.toBe('ok');
    // What was issued under the old one is believed by who trusts the new one, with what EST hands out.
    const handed = house.issuing.caCertificates('ldevid');
    expect(handed).toHaveLength(6);
    expect([chainOf(before.certificate, old, handed), chainOf(before.certificate, fresh, handed)]).toEqual([
      'ok',
      'ok',
    ]);
  });

  test('is not retired while an authority stands under it', async () => {
    using house = await openTestHouse();
    await recordAuthority(house, 'root');
    await recordAuthority(house, 'idevid');
    await rollRoot(house);
    house.clock.pass(60_000);
    expect(await codeOfAsync(retireGeneration(house.rollover, 'root', ACTOR))).toBe('authority-in-use');
  });
});

describe('EST cacerts', () => {
  test('have what is prepared and what is former, and not what is retired or another family’s', async () => {
    using house = await openTestHouse();
    const names = () =>
      house.issuing.caCertificates('ldevid').map((der) => nameToText(parseCertificate(der).tbs.subject));
    const [root, first, second] = [
      'O=Lab, CN=Lab root CA',
      'O=Lab, CN=Lab ldevid CA',
      'O=Lab, CN=Lab ldevid CA 2',
    ];
    expect(names()).toEqual([root, first]);
    await prepare(house);
    expect(names()).toEqual([root, first, second]);
    await activate(house);
    house.clock.pass(60_000);
    expect(names()).toEqual([root, first, second]);
    await retireGeneration(house.rollover, 'ldevid', ACTOR);
    expect(names()).toEqual([root, second]);
  });
});

describe('another process', () => {
  test('on the same ledger has the key and the state after a look, and not before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'birthmark-test-'));
    try {
      const path = join(folder, 'ledger.db');
      using house = await openTestHouse({ path });
      using other = await openTestHouse({ path, clock: house.clock });
      await roll(house);
      expect(other.issuing.preparer('ldevid').authority.name).toBe('ldevid');
      expect(await other.roster.look()).toBe(true);
      expect(await other.roster.look()).toBe(false);
      const { certificate } = await other.grant('SN-1', { profile: 'ldevid' });
      expect(issuerOf(certificate)).toBe('O=Lab, CN=Lab ldevid CA 2');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
