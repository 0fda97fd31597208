import { describe, expect, test } from 'vitest';
import type { ProfileConfig } from '../../../src/ca/profile-config.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { sequence } from '../../../src/x509/der/encode.ts';
import { subjectAltName } from '../../../src/x509/extensions.ts';
import { encodeName, parseName } from '../../../src/x509/name.ts';
import { attribute, DAY_MS, newCsr, newKey } from '../../house.ts';
import { type SampleKey, sampleCsr } from '../../x509/samples.ts';
import { type Credential, certificateIn, madeBy, makerCa, shareEstServer, verdictOf } from './est-server.ts';

const HW_TYPE = '1.3.6.1.4.1.99999.1.1';
const NAMED: Partial<ProfileConfig> = {
  kind: 'ldevid',
  authority: 'ldevid',
  extendedKeyUsage: ['clientAuth'],
  validityDays: 90,
  hwType: HW_TYPE,
  hardwareModuleName: true,
};
const est = await shareEstServer({
  profiles: { named: NAMED },
  labels: {
    relaxed: { idevidMayReenroll: true },
    named: { profile: 'named' },
    tickets: { admit: ['ticket', 'idevid'] },
  },
});
let devices = 0;

function nextDevice(): string {
  devices += 1;
  return `SN-${devices}`;
}

const leafOf = ({ chain }: Credential): Buffer => Buffer.from(chain[0] ?? []);
const tbsOf = (der: Uint8Array) => parseCertificate(der).tbs;

/** A CSR that asks for the subject of a certificate, octet for octet, and for what else is given. */
function renewal(
  of: Credential,
  key: SampleKey = newKey(),
  names: Parameters<typeof subjectAltName>[0] = [],
): Buffer {
  const wanted =
    names.length === 0 ? [] : [attribute('1.2.840.113549.1.9.14', sequence(subjectAltName(names)))];
  return sampleCsr(key, { subject: tbsOf(leafOf(of)).subject, attributes: wanted });
}

const renew = (credential: Credential, csr: Uint8Array, label = '') =>
  est.enroll(`${label}simplereenroll`, csr, { credential });

describe('a renewal', () => {
  test('with a new key gives a certificate of the same names, as often as it is asked for', async () => {
    const device = nextDevice();
    const credential = await est.credential(device, 'ldevid');
    const csr = renewal(credential);
    const first = certificateIn(await renew(credential, csr));
    expect(tbsOf(first).subject).toEqual(tbsOf(leafOf(credential)).subject);
    expect(tbsOf(first).serial).not.toEqual(tbsOf(leafOf(credential)).serial);
    expect(certificateIn(await renew(credential, csr))).toEqual(first);
    const { outcome, facts } = await est.latestAct(`own/${device}`);
    expect([outcome, facts.operation, facts.via]).toEqual(['done', 'reenroll', 'tls']);
    expect(facts.certificate).toMatch(/^[0-9a-f]{64}$/);
  });

  test('with the same key gives another certificate, once for each that it follows', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    const csr = renewal(credential, credential.key);
    const first = certificateIn(await renew(credential, csr));
    expect(first).not.toEqual(leafOf(credential));
    expect(certificateIn(await renew(credential, csr))).toEqual(first);
    const followed = { ...credential, chain: [first, ...credential.chain.slice(1)] };
    const second = certificateIn(await renew(followed, csr));
    expect([leafOf(credential), first]).not.toContainEqual(second);
    expect(certificateIn(await renew(credential, csr))).toEqual(second);
  });

  test('asked for many times at once gives one certificate', async () => {
    for (const sameKey of [false, true]) {
      const credential = await est.credential(nextDevice(), 'ldevid');
      const csr = renewal(credential, sameKey ? credential.key : newKey());
      const answers = await Promise.all(Array.from({ length: 5 }, () => renew(credential, csr)));
      expect(new Set(answers.map((answer) => certificateIn(answer).toString('hex'))).size).toBe(1);
    }
  });

  test('leaves the old certificate good', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    await renew(credential, renewal(credential));
    expect(verdictOf(await renew(credential, renewal(credential)))).toBe('200');
  });

  test('may write its subject in other strings and letters, and gets the one that it had', async () => {
    const device = nextDevice();
    const credential = await est.credential(device, 'ldevid');
    const subject = encodeName([
      { type: 'O', value: ' LAB  ' },
      { type: 'serialNumber', value: device },
    ]);
    const got = certificateIn(await renew(credential, sampleCsr(newKey(), { subject })));
    expect(tbsOf(got).subject).toEqual(tbsOf(leafOf(credential)).subject);
  });

  test.each<[string, (device: string) => Parameters<typeof encodeName>[0]]>([
    [
      'has another serialNumber',
      () => [
        { type: 'O', value: 'Lab' },
        { type: 'serialNumber', value: 'SN-X' },
      ],
    ],
    [
      'has another O',
      (device) => [
        { type: 'O', value: 'Lob' },
        { type: 'serialNumber', value: device },
      ],
    ],
    ['lacks O', (device) => [{ type: 'serialNumber', value: device }]],
    ['is empty', () => []],
    [
      'is in another order',
      (device) => [
        { type: 'serialNumber', value: device },
        { type: 'O', value: 'Lab' },
      ],
    ],
    [
      'has a CN besides',
      (device) => [
        { type: 'O', value: 'Lab' },
        { type: 'serialNumber', value: device },
        { type: 'CN', value: 'x' },
      ],
    ],
  ])('whose subject %s is refused', async (_title, subjectOf) => {
    const device = nextDevice();
    const credential = await est.credential(device, 'ldevid');
    const csr = sampleCsr(newKey(), { subject: encodeName(subjectOf(device)) });
    expect(verdictOf(await renew(credential, csr))).toBe('403 identity-differs');
    expect((await est.latestAct(`own/${device}`)).outcome).toBe('refused:identity-differs');
    expect(verdictOf(await renew(credential, renewal(credential)))).toBe('200');
  });

  test('without the subjectAltName that the certificate has, or with another one, is refused', async () => {
    const device = nextDevice();
    const credential = await est.credential(device, 'named');
    const hardware = { kind: 'hardwareModule', hwType: HW_TYPE, hwSerialNum: Buffer.from(device) } as const;
    const ask = (names: Parameters<typeof subjectAltName>[0]) =>
      renew(credential, renewal(credential, newKey(), names), 'named/');
    expect(verdictOf(await ask([]))).toBe('403 identity-differs');
    expect(verdictOf(await ask([{ ...hardware, hwSerialNum: Buffer.from('SN-X') }]))).toBe(
      '403 identity-differs',
    );
    expect(verdictOf(await ask([hardware, { kind: 'dns', name: 'a.example' }]))).toBe('403 identity-differs');
    const got = await ask([hardware]);
    const alternative = (der: Uint8Array) =>
      tbsOf(der).extensions.find(({ oid }) => oid === '2.5.29.17')?.value;
    expect(alternative(certificateIn(got))).toEqual(alternative(leafOf(credential)));
  });

  test('with a subjectAltName that the certificate has not is refused', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    const csr = renewal(credential, newKey(), [{ kind: 'dns', name: 'a.example' }]);
    expect(verdictOf(await renew(credential, csr))).toBe('403 identity-differs');
  });

  test('without proof of its key is refused', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    const csr = renewal(credential);
    csr.writeUInt8((csr.at(-1) ?? 0) ^ 1, csr.length - 1);
    expect(verdictOf(await renew(credential, csr))).toBe('400 proof-of-possession-failed');
  });

  test('with the key of the IDevID is refused', async () => {
    const device = nextDevice();
    const idevid = await est.credential(device);
    const credential = await est.credential(device, 'ldevid');
    expect(verdictOf(await renew(credential, renewal(credential, idevid.key)))).toBe('409 key-in-use');
  });

  test('is no way around a label that admits no LDevID', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    expect(verdictOf(await renew(credential, renewal(credential), 'tickets/'))).toBe('403 admission-refused');
  });

  test('under a label of another profile is refused', async () => {
    const credential = await est.credential(nextDevice(), 'ldevid');
    expect(verdictOf(await renew(credential, renewal(credential), 'named/'))).toBe('403 admission-refused');
  });

  test('by a ticket is refused', async () => {
    const headers = await est.ticket(nextDevice());
    expect(verdictOf(await est.enroll('simplereenroll', newCsr(), { headers }))).toBe(
      '403 certificate-required',
    );
  });
});

describe('a renewal by an IDevID', () => {
  const ca = makerCa();

  test('of ours is refused, and taken as an enrollment where the label says so', async () => {
    const idevid = await est.credential(nextDevice());
    expect(verdictOf(await renew(idevid, newCsr()))).toBe('403 admission-refused');
    expect(verdictOf(await renew(idevid, newCsr(), 'relaxed/'))).toBe('200');
    expect(verdictOf(await est.enroll('simpleenroll', newCsr(), { credential: idevid }))).toBe('200');
  });

  test("of a manufacturer's is refused likewise", async () => {
    await est.trust(ca);
    const idevid = madeBy(ca, nextDevice());
    expect(verdictOf(await renew(idevid, newCsr()))).toBe('403 admission-refused');
    expect(verdictOf(await renew(idevid, newCsr(), 'relaxed/'))).toBe('200');
  });

  test('of nobody that is trusted is refused under both labels', async () => {
    const stranger = madeBy(makerCa({ cn: 'Nobody' }), nextDevice());
    expect(verdictOf(await renew(stranger, newCsr()))).toBe('403 certificate-refused');
    expect(verdictOf(await renew(stranger, newCsr(), 'relaxed/'))).toBe('403 certificate-refused');
  });

  test('may not give its key to the LDevID', async () => {
    const ours = await est.credential(nextDevice());
    const foreign = madeBy(ca, nextDevice());
    for (const { key, chain } of [ours, foreign]) {
      const ask = (csr: Buffer) => est.enroll('simpleenroll', csr, { credential: { key, chain } });
      expect(verdictOf(await ask(newCsr(key)))).toBe('409 key-in-use');
      expect(verdictOf(await ask(newCsr()))).toBe('200');
    }
  });
});

describe('an LDevID that has ended', () => {
  test('renews itself within the grace of its label, and not after it, and not elsewhere', async () => {
    const late = await shareEstServer({ labels: { grace: { renewalGraceDays: 30 } } });
    const credential = await late.credential('SN-1', 'ldevid');
    const ask = (label: string, operation = 'simplereenroll') =>
      late.enroll(`${label}${operation}`, renewal(credential), { credential });
    late.house.clock.pass(tbsOf(leafOf(credential)).notAfter.at - late.house.clock.now());
    expect(verdictOf(await ask(''))).toBe('200');
    late.house.clock.pass(1);
    expect(verdictOf(await ask(''))).toBe('403 certificate-refused');
    expect(verdictOf(await ask('grace/'))).toBe('200');
    expect(verdictOf(await ask('grace/', 'simpleenroll'))).toBe('403 certificate-refused');
    late.house.clock.pass(30 * DAY_MS - 1);
    expect(verdictOf(await ask('grace/'))).toBe('200');
    late.house.clock.pass(1);
    expect(verdictOf(await ask('grace/'))).toBe('403 certificate-refused');
  });
});

test('an LDevID may also enroll anew, for a subject of the same device', async () => {
  const device = nextDevice();
  const credential = await est.credential(device, 'ldevid');
  const got = certificateIn(await est.enroll('simpleenroll', newCsr(), { credential }));
  expect(parseName(tbsOf(got).subject).flat().at(-1)?.value).toBe(device);
});
