import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseProfile } from '../../src/ca/parse-profile.ts';
import { createPreparer, type Holder, type PreparedCertificate } from '../../src/ca/prepare.ts';
import type { ProfileConfig } from '../../src/ca/profile-config.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
import { assembleSigned, findExtension, parseCertificate } from '../../src/x509/certificate.ts';
import { encode } from '../../src/x509/der/encode.ts';
import { NO_EXPIRY } from '../../src/x509/der/time.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { EXTENSION } from '../../src/x509/extensions.ts';
import { nameToText } from '../../src/x509/name.ts';
import { keyIdentifier } from '../../src/x509/public-key.ts';
import { readByOthers, verifiesByOthers } from '../../src/x509/second-opinion.ts';
import {
  BEGINNING,
  DAY_MS,
  newKey,
  openTestHouse,
  PUBLIC_URL,
  seededRandom,
  type TestHouse,
} from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

const MINUTE_MS = 60_000;
const LATER = BEGINNING + 30 * DAY_MS;
const HARDWARE: extensions.AltName = {
  kind: 'hardwareModule',
  hwType: '1.3.6.1.4.1.99999.1.1',
  hwSerialNum: Buffer.from('SN-0001'),
};

function holder(changes: Partial<Holder> = {}): Holder {
  return { serialNumber: 'SN-0001', altNames: [], spki: newKey().spki, ...changes };
}

async function sign(prepared: PreparedCertificate) {
  const { authority, tbs } = prepared;
  const certificate = assembleSigned(tbs, authority.signatureAlgorithm, await authority.signer.sign(tbs));
  return { der: certificate, ...parseCertificate(certificate) };
}

/** The value of an extension as our own encoder would write it. */
function encoded(extension: ReturnType<typeof extensions.keyUsage>): string {
  return encode(extension).toString('hex');
}

const URLS = publishedUrls(PUBLIC_URL);

describe('an IDevID', () => {
  test('is IEEE 802.1AR to the letter', async () => {
    using house = await openTestHouse({ profiles: { idevid: { policies: ['1.3.6.1.4.1.99999.2.1'] } } });
    const { prepare, authority } = house.issuing.preparer('idevid');
    const device = holder({ altNames: [HARDWARE] });
    const prepared = prepare(device, LATER);
    const { der, tbs } = await sign(prepared);
    expect(tbs.version).toBe(3);
    expect(nameToText(tbs.subject)).toBe('O=Lab, serialNumber=SN-0001');
    expect(Buffer.from(tbs.issuer).equals(authority.certificate.tbs.subject)).toBe(true);
    expect(Buffer.from(tbs.spki).equals(device.spki)).toBe(true);
    expect(Buffer.from(tbs.serial).equals(prepared.serial)).toBe(true);
    expect(tbs.notAfter.at).toBe(NO_EXPIRY);
    expect(tbs.notBefore.at).toBe(LATER - MINUTE_MS);
    expect(tbs.hasUniqueIds).toBe(false);
    // Each in the order and to the octet; nothing else: no EKU, no basicConstraints, no SKI.
    expect(tbs.extensions.map(({ oid }) => oid)).toEqual([
      EXTENSION.authorityKeyIdentifier,
      EXTENSION.keyUsage,
      EXTENSION.certificatePolicies,
      EXTENSION.authorityInfoAccess,
      EXTENSION.subjectAltName,
      EXTENSION.crlDistributionPoints,
    ]);
    const all = Buffer.from(tbs.raw).toString('hex');
    for (const wanted of [
      extensions.authorityKeyIdentifier(keyIdentifier(authority.signer.spki)),
      extensions.keyUsage(['digitalSignature']),
      extensions.certificatePolicies(['1.3.6.1.4.1.99999.2.1']),
      extensions.authorityInfoAccess({
        caIssuers: `${PUBLIC_URL}/ca/idevid.cer`,
        ocsp: `${PUBLIC_URL}/ocsp`,
      }),
      extensions.subjectAltName([HARDWARE]),
      extensions.crlDistributionPoints(URLS.shard('idevid', prepared.shard)),
    ]) {
      expect(all).toContain(encoded(wanted));
    }
    expect(findExtension(tbs, EXTENSION.keyUsage)?.critical).toBe(true);
    expect(tbs.extensions.filter(({ critical }) => critical)).toHaveLength(1);
    expect(await readByOthers(der)).toEqual([]);
    expect(await verifiesByOthers(der, authority.certificate.raw)).toBe(true);
  });

  test('has the SKI only where the profile says so', async () => {
    using house = await openTestHouse({ profiles: { idevid: { subjectKeyIdentifier: true } } });
    const { spki } = newKey();
    const without = house.issuing.preparer('idevid').prepare(holder({ spki }), LATER);
    const withKeyId = house.issuing
      .preparer('idevid')
      .prepare(holder({ spki, keyId: keyIdentifier(spki) }), LATER);
    const wanted = encoded(extensions.subjectKeyIdentifier(keyIdentifier(spki)));
    expect(without.tbs.toString('hex')).not.toContain(wanted);
    expect(withKeyId.tbs.toString('hex')).toContain(wanted);
  });
});

describe.each([
  ['ldevid', 'O=Lab, serialNumber=SN-0001', '1.3.6.1.5.5.7.3.2', {}],
  [
    'server',
    'O=Lab',
    '1.3.6.1.5.5.7.3.1',
    { serialNumber: undefined, commonName: 'a.example', altNames: [{ kind: 'dns', name: 'a.example' }] },
  ],
  ['operator', 'O=Lab, CN=anna', '1.3.6.1.5.5.7.3.2', { serialNumber: undefined, commonName: 'anna' }],
] as const)('profile %s', (profile, subject, purpose, who) => {
  test('has its subject, its purpose, its end and no CA bit', async () => {
    using house = await openTestHouse();
    const { spki } = newKey();
    const { serialNumber: _, ...names } = who as Partial<Holder>;
    const asked: Holder = {
      altNames: [],
      ...(profile === 'ldevid' ? { serialNumber: 'SN-0001' } : {}),
      ...names,
      spki,
      keyId: keyIdentifier(spki),
    };
    const { prepare, authority } = house.issuing.preparer(profile);
    const prepared = prepare(asked, LATER);
    const { der, tbs } = await sign(prepared);
    expect(nameToText(tbs.subject)).toBe(subject);
    expect(Buffer.from(tbs.raw).toString('hex')).toContain(encoded(extensions.extendedKeyUsage([purpose])));
    expect(findExtension(tbs, EXTENSION.basicConstraints)).toBeUndefined();
    const { validityDays } = house.issuing.profile(profile);
    expect(tbs.notAfter.at).toBe(LATER + Number(validityDays) * DAY_MS);
    expect(await readByOthers(der)).toEqual([]);
    expect(await verifiesByOthers(der, authority.certificate.raw)).toBe(true);
  });
});

test('an authority of Ed25519 or P-384 signs as well', async () => {
  for (const algorithm of ['ed25519', 'ec-p384'] as const) {
    using house = await openTestHouse({ algorithm });
    const { prepare, authority } = house.issuing.preparer('idevid');
    const { der } = await sign(prepare(holder(), LATER));
    expect(await readByOthers(der)).toEqual([]);
    expect(await verifiesByOthers(der, authority.certificate.raw)).toBe(true);
  }
});

describe('times', () => {
  test('an LDevID ends no later than its authority, an IDevID has no end', async () => {
    using house = await openTestHouse();
    const end = house.authorities.get('ldevid')?.certificate.tbs.notAfter.at ?? 0;
    const { prepare } = house.issuing.preparer('ldevid');
    expect(prepare(holder(), end - 90 * DAY_MS).notAfter).toBe(end);
    expect(prepare(holder(), end - 90 * DAY_MS - 1000).notAfter).toBe(end - 1000);
    expect(prepare(holder(), end - 1000).notAfter).toBe(end);
    expect(house.issuing.preparer('idevid').prepare(holder(), end - 1000).notAfter).toBe(NO_EXPIRY);
  });

  test.each(['idevid', 'ldevid'])(
    '%s is issued in the last millisecond of its authority, and not after',
    async (profile) => {
      using house = await openTestHouse();
      const { prepare, authority } = house.issuing.preparer(profile);
      const end = authority.certificate.tbs.notAfter.at;
      expect(codeOf(() => prepare(holder(), end + 1))).toBe('authority-expired');
      if (profile === 'idevid') expect(codeOf(() => prepare(holder(), end))).toBe('accepted');
    },
  );

  test.each([
    ['a minute back where the authority is older', 10 * MINUTE_MS, 9 * MINUTE_MS],
    ["the authority's own where it is younger than a minute", 30_000, 0],
    ["the authority's own in the second of its making", 0, 0],
  ])('notBefore is %s', async (_title, age, expected) => {
    using house = await openTestHouse();
    const { prepare, authority } = house.issuing.preparer('ldevid');
    const from = authority.certificate.tbs.notBefore.at;
    expect(prepare(holder(), from + age).notBefore - from).toBe(expected);
  });

  test('are whole seconds, as the certificate can say them', async () => {
    using house = await openTestHouse();
    const prepared = house.issuing.preparer('ldevid').prepare(holder(), LATER + 777);
    const { tbs } = await sign(prepared);
    expect([tbs.notBefore.at, tbs.notAfter.at]).toEqual([prepared.notBefore, prepared.notAfter]);
    expect(prepared.notBefore % 1000).toBe(0);
  });
});

describe('names', () => {
  test('CN is the model, the holder or nothing, as the profile says', async () => {
    using house = await openTestHouse({
      profiles: {
        plain: { commonName: 'none' },
        model: { commonName: 'model', organizationalUnit: 'Pumps' },
        named: { commonName: 'holder' },
      },
    });
    const subject = (profile: string, changes: Partial<Holder>) =>
      sign(house.issuing.preparer(profile).prepare(holder(changes), LATER)).then(({ tbs }) =>
        nameToText(tbs.subject),
      );
    expect(await subject('plain', { commonName: 'P-7' })).toBe('O=Lab, serialNumber=SN-0001');
    expect(await subject('model', { commonName: 'P-7' })).toBe(
      'O=Lab, OU=Pumps, CN=P-7, serialNumber=SN-0001',
    );
    expect(await subject('model', {})).toBe('O=Lab, OU=Pumps, serialNumber=SN-0001');
    expect(await subject('named', { commonName: 'SN-0001' })).toBe('O=Lab, CN=SN-0001, serialNumber=SN-0001');
  });

  test.each([
    ['64 characters', 'ü'.repeat(64), 'accepted'],
    ['65 characters', 'u'.repeat(65), 'name-invalid'],
    ['a control character', 'a\u001b[2J', 'name-invalid'],
    ['half a character', 'a\ud800', 'name-invalid'],
    ['nothing', '', 'name-invalid'],
  ])('a model of %s: %s', async (_title, commonName, code) => {
    using house = await openTestHouse({ profiles: { idevid: { commonName: 'model' } } });
    const { prepare } = house.issuing.preparer('idevid');
    expect(codeOf(() => prepare(holder({ commonName }), LATER))).toBe(code);
  });
});

describe('what no certificate may be', () => {
  test.each([
    ['a host name with an underscore', { altNames: [{ kind: 'dns', name: 'a_b.example' }] }],
    ['an address of five octets', { altNames: [{ kind: 'ip', address: new Uint8Array(5) }] }],
  ] as const)('%s does not pass the lint', async (_title, changes) => {
    using house = await openTestHouse();
    const { prepare } = house.issuing.preparer('server');
    const { serialNumber: _, ...server } = holder();
    expect(codeOf(() => prepare({ ...server, ...changes }, LATER))).toBe('lint-failed');
    expect(codeOf(() => prepare({ ...server, altNames: [{ kind: 'dns', name: 'ab.example' }] }, LATER))).toBe(
      'accepted',
    );
  });

  test('a lint error names the rule and its source; nothing is reserved or claimed, the refusal is audited', async () => {
    using house = await openTestHouse({ profiles: { ldevid: { hardwareModuleName: true } } });
    const refused = await house.ask('SN-1', {
      profile: 'ldevid',
      // The RFC wants 1 to 64 octets; the doors see to it, and the lint behind them.
      hardware: { hwType: '1.2.3', hwSerialNum: new Uint8Array(0) },
    });
    expect(refused).toMatchObject({ code: 'lint-failed', message: expect.stringMatching(/RFC|802\.1AR/) });
    expect(await house.ledger.read.findReserved(10)).toEqual([]);
    expect((await house.ledger.read.searchDevices({ limit: 10 })).items).toEqual([]);
    const acts = (await house.ledger.read.listAudit({ limit: 10 })).items;
    expect(acts.map(({ outcome }) => outcome)).toEqual(['refused:lint-failed']);
  });
});

describe('shards', () => {
  test('the URL in the certificate is that of the shard in the record, and every shard is used', async () => {
    using house = await openTestHouse({ shards: 5 });
    const { prepare } = house.issuing.preparer('idevid');
    const { spki } = newKey();
    const seen = new Set<number>();
    for (let at = 0; at < 100; at += 1) {
      const { shard, tbs } = prepare(holder({ spki }), LATER);
      expect(tbs.toString('latin1')).toContain(`${PUBLIC_URL}/crl/idevid/${shard}.crl`);
      seen.add(shard);
    }
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test('no URL where the profile wants none', async () => {
    using house = await openTestHouse({
      profiles: { idevid: { crlDistributionPoint: false, authorityInfoAccess: false } },
    });
    const { tbs } = house.issuing.preparer('idevid').prepare(holder(), LATER);
    expect(tbs.toString('latin1')).not.toContain('http');
  });
});

const KEYS = {
  'ec-p256': 'P-256',
  'ec-p384': 'P-384',
  'ec-p521': 'P-521',
  ed25519: 'Ed25519',
  rsa: 'RSA-2048',
} as const;
const spkis = new Map(Object.entries(KEYS).map(([name, kind]) => [name, newKey(kind).spki]));

/** Such as people may write; every second one or so is accepted. */
function profileConfigs() {
  const some = <const T>(...items: readonly T[]) => fc.subarray([...items], { minLength: 1 });
  const maybe = <const T>(...items: readonly T[]) => fc.subarray([...items]);
  const usages = maybe('nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement');
  return fc.constantFrom('idevid', 'ldevid', 'server', 'operator').chain((kind) =>
    fc.record({
      kind: fc.constant(kind),
      authority: fc.constantFrom<string>('idevid', 'ldevid', 'service'),
      organization: fc.constantFrom('Lab', 'Bürklin & Söhne, "GmbH"', 'x'.repeat(64)),
      commonName:
        kind === 'server' || kind === 'operator'
          ? fc.constantFrom('none', 'holder')
          : fc.constantFrom('none', 'model', 'holder'),
      validityDays:
        kind === 'idevid' ? fc.constantFrom(90, 'forever' as const) : fc.constantFrom(1, 90, 36_500),
      subjectKeyIdentifier: fc.boolean(),
      keyUsage: usages.map((more): ProfileConfig['keyUsage'] => ['digitalSignature', ...more]),
      extendedKeyUsage:
        kind === 'idevid'
          ? fc.constant<ProfileConfig['extendedKeyUsage']>([])
          : some('clientAuth', 'serverAuth'),
      policies: maybe('1.2.3', '2.5.29.32.0', '1.3.6.1.4.1.99999.9999999999'),
      authorityInfoAccess: fc.boolean(),
      crlDistributionPoint: fc.boolean(),
      hardwareModuleName: kind === 'server' || kind === 'operator' ? fc.constant(false) : fc.boolean(),
      allowedKeys: some('ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'),
      sameAlgorithmChain: fc.boolean(),
      newKey: fc.boolean(),
    }),
  );
}

function holderFor(config: ProfileConfig, spki: Uint8Array): Holder {
  const device = config.kind === 'idevid' || config.kind === 'ldevid';
  const altNames: extensions.AltName[] =
    config.kind === 'server'
      ? [{ kind: 'dns', name: 'a.example' }]
      : config.hardwareModuleName
        ? [HARDWARE]
        : [];
  return {
    ...(device ? { serialNumber: 'SN-0001' } : {}),
    ...(config.commonName === 'none' ? {} : { commonName: 'anna' }),
    altNames,
    spki,
    ...(config.subjectKeyIdentifier ? { keyId: keyIdentifier(spki) } : {}),
  };
}

test('no profile that is accepted at start fails the lint at the first request', async () => {
  using house: TestHouse = await openTestHouse();
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(profileConfigs(), async (config) => {
      let profile: ReturnType<typeof parseProfile> | undefined;
      const parsed = codeOf(() => {
        profile = parseProfile('mine', config, ['idevid', 'ldevid', 'service']);
      });
      if (parsed !== 'accepted' || !profile) return;
      accepted += 1;
      const authority = house.authorities.get(profile.authority);
      if (!authority) throw new Error('no authority');
      const prepare = createPreparer({ profile, authority, urls: URLS, shards: 4, random: seededRandom() });
      for (const key of profile.allowedKeys) {
        const spki = spkis.get(key);
        if (!spki) throw new Error(key);
        expect(() => prepare(holderFor(config, spki), LATER)).not.toThrow();
      }
    }),
    { numRuns: 600 },
  );
  expect(accepted).toBeGreaterThan(100);
});
