import { describe, expect, test } from 'vitest';
import { distrustCa } from '../../../src/enroll/trust-ca.ts';
import { parseCertificate } from '../../../src/x509/certificate.ts';
import { encode, sequence, setOf } from '../../../src/x509/der/encode.ts';
import { oid, utf8String } from '../../../src/x509/der/values.ts';
import { extendedKeyUsage, keyUsage } from '../../../src/x509/extensions.ts';
import { encodeName, nameToText } from '../../../src/x509/name.ts';
import { hashKey } from '../../../src/x509/public-key.ts';
import { BEGINNING, DAY_MS, newCsr, newKey } from '../../house.ts';
import { makeAuthority } from '../../x509/path/make-certificate.ts';
import { sampleCsr } from '../../x509/samples.ts';
import { type Credential, certificateIn, madeBy, makerCa, shareEstServer, verdictOf } from './est-server.ts';

const est = await shareEstServer({
  labels: {
    ours: { namespaces: ['own'] },
    theirs: { namespaces: ['maker'] },
    strict: { serialPattern: 'A-*' },
  },
});
const { house } = est;
const ca = makerCa();
await est.trust(ca);
const patterned = makerCa({ cn: 'Patterned' });
await est.trust(patterned, { namespace: 'patterned', serialPattern: 'P-*' });

const enroll = (credential: Credential, operation = 'simpleenroll') =>
  est.enroll(operation, newCsr(), { credential });
const subjectOf = (der: Uint8Array) => nameToText(parseCertificate(der).tbs.subject);
const serialNumber = (value: string) => ({ type: 'serialNumber', value }) as const;
let devices = 0;
const next = () => {
  devices += 1;
  return `SN-${devices}`;
};

describe('an IDevID of ours', () => {
  test('enrolls, and is named by the audit record', async () => {
    const device = next();
    const answer = await enroll(await est.credential(device));
    expect(subjectOf(certificateIn(answer))).toBe(`O=Lab, serialNumber=${device}`);
    const { outcome, facts } = await est.latestAct(`own/${device}`);
    expect([outcome, facts.via, facts.door]).toEqual(['done', 'tls', 'est']);
  });

  test('gets one certificate for one key, asked one after another or all at once', async () => {
    const credential = await est.credential(next());
    const csr = newCsr();
    const ask = async () => certificateIn(await est.enroll('simpleenroll', csr, { credential }));
    const all = await Promise.all([ask(), ask(), ask(), ask()]);
    expect(new Set([...all, await ask()].map((der) => der.toString('hex'))).size).toBe(1);
  });

  test('without its key proven is that of nobody', async () => {
    const { chain } = await est.credential(next());
    // Another key under the same certificate: TLS refuses it before we are asked.
    await expect(est.open({ key: newKey(), chain })).rejects.toThrow();
  });

  test('with a tbsCertificate that the ledger does not have is refused', async () => {
    const authority = makeAuthority({ cn: 'Lab idevid CA' });
    const copy = madeBy(authority, next());
    expect(verdictOf(await enroll(copy))).toBe('403 certificate-refused');
  });

  test('whose key is on the block list is refused, also on a connection that is open', async () => {
    const device = next();
    const credential = await est.credential(device);
    const open = await est.open(credential);
    expect(verdictOf(await open.enroll('simpleenroll', newCsr()))).toBe('200');
    await house.ledger.write((tx) => tx.blockKey(hashKey(credential.key.spki), 'leaked', house.clock.now()));
    expect(verdictOf(await open.enroll('simpleenroll', newCsr()))).toBe('403 key-blocked');
    expect(verdictOf(await enroll(credential))).toBe('403 key-blocked');
  });

  test('may not enroll another device', async () => {
    const credential = await est.credential(next());
    const csr = sampleCsr(newKey(), { subject: encodeName([serialNumber('SN-X')]) });
    expect(verdictOf(await est.enroll('simpleenroll', csr, { credential }))).toBe(
      '403 serial-number-mismatch',
    );
  });
});

test.each([
  ['operator', { dns: [], role: 'operator' } as const],
  ['server', { dns: ['a.example'] }],
])("an %s's certificate of ours is no device's", async (profile, names) => {
  const key = newKey();
  const order = {
    profile: house.issuing.profile(profile),
    csr: newCsr(key),
    name: profile,
    ip: [],
    ...names,
  };
  const { certificate, chain } = await house.issueService(order, 'operator:test');
  expect(verdictOf(await enroll({ key, chain: [certificate, ...chain] }))).toBe('403 certificate-refused');
});

/** A name that our own encoder would not write. */
function handWritten(serial: string): Buffer {
  return encode(sequence(setOf(sequence(oid('2.5.4.5'), utf8String(serial)))));
}

describe("a manufacturer's IDevID", () => {
  test('enrolls a device of its namespace, whose subject says so', async () => {
    const device = next();
    const credential = madeBy(ca, device);
    expect(subjectOf(certificateIn(await enroll(credential)))).toMatch(new RegExp(`serialNumber=${device}$`));
    const { outcome, facts } = await est.latestAct(`maker/${device}`);
    expect([outcome, facts.via]).toEqual(['done', 'tls']);
    expect(facts.certificate).toMatch(/^[0-9a-f]{64}$/);
  });

  test('of a CA that nobody trusts is refused', async () => {
    expect(verdictOf(await enroll(madeBy(makerCa(), next())))).toBe('403 certificate-refused');
  });

  test.each<[string, () => Credential, string]>([
    [
      'without serialNumber',
      () => madeBy(ca, 'SN', { fields: { subject: encodeName([{ type: 'CN', value: 'SN-1' }]) } }),
      '403 certificate-refused',
    ],
    [
      'with two of them',
      () =>
        madeBy(ca, 'SN', { fields: { subject: encodeName([serialNumber('SN-1'), serialNumber('SN-2')]) } }),
      '403 certificate-refused',
    ],
    [
      'with an empty subject',
      () => madeBy(ca, 'SN', { fields: { subject: encodeName([]) } }),
      '403 certificate-refused',
    ],
    ["that is a CA's", () => madeBy(ca, next(), { ca: true }), '403 certificate-refused'],
    ['that is the CA itself', () => ({ key: ca.key, chain: [ca.der] }), '403 certificate-refused'],
    [
      'for servers only',
      () => madeBy(ca, next(), { purposes: ['1.3.6.1.5.5.7.3.1'] }),
      '403 certificate-refused',
    ],
    [
      'that may not sign',
      () => madeBy(ca, next(), { keyUsage: ['keyEncipherment'] }),
      '403 certificate-refused',
    ],
    [
      'that has ended',
      () => madeBy(ca, next(), { fields: { notAfter: BEGINNING - 1 } }),
      '403 certificate-refused',
    ],
    [
      'that is not valid yet',
      () => madeBy(ca, next(), { fields: { notBefore: BEGINNING + DAY_MS } }),
      '403 certificate-refused',
    ],
    [
      'with a serialNumber that is none',
      () => madeBy(ca, 'SN', { fields: { subject: handWritten('SN_1') } }),
      '400 serial-number-invalid',
    ],
    [
      'with another serial number than its CA is trusted for',
      () => madeBy(patterned, 'Q-1'),
      '403 serial-number-not-allowed',
    ],
    ['as it should be', () => madeBy(ca, next()), '200'],
    [
      'that names no purpose, as IEEE 802.1AR has it',
      () => madeBy(ca, next(), { only: [keyUsage(['digitalSignature'])] }),
      '200',
    ],
    [
      'for several purposes',
      () => madeBy(ca, next(), { only: [extendedKeyUsage(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])] }),
      '200',
    ],
    [
      'that never ends',
      () => madeBy(ca, next(), { fields: { notAfter: Date.UTC(9999, 11, 31, 23, 59, 59) } }),
      '200',
    ],
    ['with a serial number that its CA is trusted for', () => madeBy(patterned, 'P-1'), '200'],
  ])('%s is told apart', async (_title, make, verdict) => {
    expect(verdictOf(await enroll(make()))).toBe(verdict);
  });

  test('below another CA comes with that one, in whatever order, or is refused', async () => {
    const below = makerCa({ cn: 'Maker devices', issuer: ca });
    const { key, chain } = madeBy(below, next());
    expect(verdictOf(await enroll({ key, chain }))).toBe('403 certificate-refused');
    expect(verdictOf(await enroll({ key, chain: [...chain, ca.der, below.der] }))).toBe('200');
  });

  test('of a CA with the name of our own root enrolls too', async () => {
    const root = house.authorities.get('root')?.certificate;
    const ldevid = house.authorities.get('ldevid')?.certificate;
    for (const [at, same] of [root, ldevid].entries()) {
      const alike = makerCa({ fields: { subject: Buffer.from(same?.tbs.subject ?? []) } });
      const credential = madeBy(alike, next());
      expect(verdictOf(await enroll(credential))).toBe('403 certificate-refused');
      await est.trust(alike, { namespace: `alike-${at}` });
      expect(verdictOf(await enroll(credential))).toBe('200');
    }
  });

  test.each([
    ['ours/', '403 admission-refused'],
    ['theirs/', '200'],
    ['strict/', '403 serial-number-not-allowed'],
  ])('under label %s: %s', async (label, verdict) => {
    expect(verdictOf(await enroll(madeBy(ca, next()), `${label}simpleenroll`))).toBe(verdict);
  });

  test('whose key is on the block list is refused', async () => {
    const credential = madeBy(ca, next());
    expect(verdictOf(await enroll(credential))).toBe('200');
    await house.ledger.write((tx) => tx.blockKey(hashKey(credential.key.spki), 'leaked', house.clock.now()));
    expect(verdictOf(await enroll(credential))).toBe('403 key-blocked');
  });
});

describe('a manufacturer who is trusted no longer', () => {
  test('is refused at once, also on a connection that is open; what its devices have stays theirs', async () => {
    const gone = makerCa({ cn: 'Gone' });
    const fingerprint = await est.trust(gone, { namespace: 'gone' });
    const credential = madeBy(gone, next());
    const open = await est.open(credential);
    const key = newKey();
    const ldevid = certificateIn(await open.enroll('simpleenroll', newCsr(key)));
    await distrustCa(fingerprint, 'operator:test', { ledger: house.ledger, clock: house.guardedClock });
    expect(verdictOf(await open.enroll('simpleenroll', newCsr()))).toBe('403 certificate-refused');
    const csr = sampleCsr(newKey(), { subject: parseCertificate(ldevid).tbs.subject });
    expect(verdictOf(await est.enroll('simplereenroll', csr, { credential: { key, chain: [ldevid] } }))).toBe(
      '200',
    );
    await est.trust(gone, { namespace: 'gone' });
    expect(verdictOf(await open.enroll('simpleenroll', newCsr()))).toBe('200');
  });
});

describe('an old chain', () => {
  const ended = { notBefore: BEGINNING - 9 * DAY_MS, notAfter: BEGINNING - 1 };
  const trusted = async (validity: 'leaf' | 'none') => {
    const old = makerCa({ cn: `Old ${validity}`, fields: ended });
    await est.trust(old, { namespace: `old-${validity}`, validity });
    return old;
  };

  test('enrolls where its CA was trusted so, and an ended IDevID where that does not matter either', async () => {
    const [leaf, none] = [await trusted('leaf'), await trusted('none')];
    expect(verdictOf(await enroll(madeBy(leaf, next())))).toBe('200');
    expect(verdictOf(await enroll(madeBy(leaf, next(), { fields: ended })))).toBe('403 certificate-refused');
    expect(verdictOf(await enroll(madeBy(none, next())))).toBe('200');
    expect(verdictOf(await enroll(madeBy(none, next(), { fields: ended })))).toBe('200');
  });

  test('ends with its CA where that was trusted without a word about it', async () => {
    const later = await shareEstServer();
    const short = makerCa({ fields: { notAfter: BEGINNING + DAY_MS } });
    await later.trust(short);
    const credential = madeBy(short, 'SN-1');
    const ask = () => later.enroll('simpleenroll', newCsr(), { credential });
    later.house.clock.pass(DAY_MS);
    expect(verdictOf(await ask())).toBe('200');
    later.house.clock.pass(1);
    expect(verdictOf(await ask())).toBe('403 certificate-refused');
  });
});

describe('two devices with one serial number', () => {
  const other = makerCa({ cn: 'Other' });

  test('have a device and a subject each, and neither renews what the other has', async () => {
    await est.trust(other, { namespace: 'other' });
    const [ours, theirs, others] = [
      await est.credential('SN-same'),
      madeBy(ca, 'SN-same'),
      madeBy(other, 'SN-same'),
    ];
    const got = [];
    for (const credential of [ours, theirs, others]) {
      const key = newKey();
      const answer = await est.enroll('simpleenroll', newCsr(key), { credential });
      got.push({ key, chain: [certificateIn(answer)] });
    }
    const subjects = got.map(({ chain: [der = Buffer.of()] }) => parseCertificate(der).tbs.subject);
    expect(new Set(subjects.map(nameToText)).size).toBe(3);
    const devices = await house.ledger.read.findDevices(
      ['own', 'maker', 'other'].map((namespace) => ({ namespace, serialNumber: 'SN-same' })),
    );
    expect(new Set(devices.map((device) => device?.id)).size).toBe(3);
    for (const credential of got) {
      for (const subject of subjects) {
        const csr = sampleCsr(newKey(), { subject });
        const mine = subject === subjects[got.indexOf(credential)];
        expect(verdictOf(await est.enroll('simplereenroll', csr, { credential }))).toBe(
          mine ? '200' : '403 identity-differs',
        );
      }
    }
  });

  test("a ticket is for ours, and may not have the other's key", async () => {
    const headers = await est.ticket('SN-theirs');
    const key = newKey();
    expect(
      verdictOf(await est.enroll('simpleenroll', newCsr(key), { credential: madeBy(ca, 'SN-theirs') })),
    ).toBe('200');
    expect(verdictOf(await est.enroll('simpleenroll', newCsr(key), { headers }))).toBe('409 key-in-use');
    const ours = certificateIn(await est.enroll('simpleenroll', newCsr(), { headers }));
    expect(subjectOf(ours)).toBe('O=Lab, serialNumber=SN-theirs');
  });
});
