import { describe, expect, test } from 'vitest';
import { parseProfile } from '../../src/ca/parse-profile.ts';
import { isDeviceKind } from '../../src/ca/profile.ts';
import { defaultProfiles, type ProfileConfig } from '../../src/ca/profile-config.ts';
import { BirthmarkError } from '../../src/core/errors.ts';

const AUTHORITIES = ['idevid', 'ldevid', 'service'];

function changed(name: string, changes: Partial<ProfileConfig>): ProfileConfig {
  const config = defaultProfiles('Lab')[name];
  if (!config) throw new Error(`there is no profile ${name}`);
  return { ...config, ...changes };
}

function refusal(config: ProfileConfig, name = 'mine'): { code: string; field: string; message: string } {
  try {
    parseProfile(name, config, AUTHORITIES);
  } catch (error) {
    if (error instanceof BirthmarkError)
      return { code: error.code, field: error.field ?? '', message: error.message };
    throw error;
  }
  throw new Error('it was accepted');
}

test.each(Object.entries(defaultProfiles('Lab')))(
  'accepts the profile %s that init writes',
  (name, config) => {
    expect(parseProfile(name, config, AUTHORITIES)).toMatchObject({
      name,
      kind: config.kind,
      authority: config.authority,
      organization: 'Lab',
      validityDays: config.validityDays,
    });
  },
);

test('turns purposes into object identifiers and leaves out what was not said', () => {
  const profile = parseProfile(
    'mine',
    changed('ldevid', { extendedKeyUsage: ['clientAuth', 'serverAuth'] }),
    AUTHORITIES,
  );
  expect(profile.extendedKeyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
  expect(Object.hasOwn(profile, 'hwType')).toBe(false);
  expect(Object.hasOwn(profile, 'organizationalUnit')).toBe(false);
});

describe('refuses, with the member and the rule named,', () => {
  const twins: readonly (readonly [
    title: string,
    profile: string,
    member: keyof ProfileConfig,
    refused: Partial<ProfileConfig>,
    accepted: Partial<ProfileConfig>,
    rule: RegExp,
  ])[] = [
    [
      'an IDevID with a purpose',
      'idevid',
      'extendedKeyUsage',
      { extendedKeyUsage: ['clientAuth'] },
      { extendedKeyUsage: [] },
      /802\.1AR/,
    ],
    [
      'an LDevID without a purpose',
      'ldevid',
      'extendedKeyUsage',
      { extendedKeyUsage: [] },
      { extendedKeyUsage: ['serverAuth'] },
      /clientAuth or serverAuth/,
    ],
    [
      'a server without serverAuth',
      'server',
      'extendedKeyUsage',
      { extendedKeyUsage: ['clientAuth'] },
      { extendedKeyUsage: ['clientAuth', 'serverAuth'] },
      /serverAuth.*RFC 5280/,
    ],
    [
      'an operator without clientAuth',
      'operator',
      'extendedKeyUsage',
      { extendedKeyUsage: ['serverAuth'] },
      { extendedKeyUsage: ['clientAuth'] },
      /clientAuth.*RFC 5280/,
    ],
    [
      'a key usage without digitalSignature',
      'idevid',
      'keyUsage',
      { keyUsage: ['nonRepudiation'] },
      { keyUsage: ['nonRepudiation', 'digitalSignature'] },
      /digitalSignature.*802\.1AR/,
    ],
    [
      'encipherment with keys that cannot',
      'idevid',
      'keyUsage',
      { keyUsage: ['digitalSignature', 'keyEncipherment'], allowedKeys: ['rsa', 'ec-p256'] },
      { keyUsage: ['digitalSignature', 'keyEncipherment'], allowedKeys: ['rsa'] },
      /RFC/,
    ],
    [
      'encipherment of data with keys that cannot',
      'ldevid',
      'keyUsage',
      { keyUsage: ['digitalSignature', 'dataEncipherment'], allowedKeys: ['ed25519'] },
      { keyUsage: ['digitalSignature', 'dataEncipherment'], allowedKeys: ['rsa'] },
      /RFC/,
    ],
    [
      'agreement with keys that cannot',
      'ldevid',
      'keyUsage',
      { keyUsage: ['digitalSignature', 'keyAgreement'], allowedKeys: ['ec-p256', 'ed25519'] },
      { keyUsage: ['digitalSignature', 'keyAgreement'], allowedKeys: ['ec-p256', 'ec-p384', 'ec-p521'] },
      /RFC/,
    ],
    [
      'an LDevID without an end',
      'ldevid',
      'validityDays',
      { validityDays: 'forever' },
      { validityDays: 3650 },
      /only an IDevID/,
    ],
    [
      'a server without an end',
      'server',
      'validityDays',
      { validityDays: 'forever' },
      { validityDays: 1 },
      /only an IDevID/,
    ],
    [
      'an operator without an end',
      'operator',
      'validityDays',
      { validityDays: 'forever' },
      { validityDays: 1 },
      /only an IDevID/,
    ],
    [
      'the policy of a TPM that holds the key',
      'idevid',
      'policies',
      { policies: ['2.23.133.11.1.1'] },
      { policies: ['2.23.133.11.2.1'] },
      /attestation/,
    ],
    [
      'the policy of a TPM that made the key',
      'idevid',
      'policies',
      { policies: ['1.2.3', '2.23.133.11.1.2'] },
      { policies: ['1.2.3'] },
      /attestation/,
    ],
    [
      'the policy of a restricted key',
      'ldevid',
      'policies',
      { policies: ['2.23.133.11.1.3'] },
      { policies: ['2.23.133.11.10.3'] },
      /attestation/,
    ],
    [
      'a policy that is no object identifier',
      'idevid',
      'policies',
      { policies: ['high'] },
      { policies: ['2.999'] },
      /object identifiers/,
    ],
    [
      'a hwType that is no object identifier',
      'idevid',
      'hwType',
      { hwType: '1.2.' },
      { hwType: '1.2' },
      /RFC 4108/,
    ],
    [
      'a server with hardware',
      'server',
      'hardwareModuleName',
      { hardwareModuleName: true },
      { hardwareModuleName: false },
      /only devices/,
    ],
    [
      'an operator with hardware',
      'operator',
      'hardwareModuleName',
      { hardwareModuleName: true },
      { hardwareModuleName: false },
      /only devices/,
    ],
    [
      'a server named after a model',
      'server',
      'commonName',
      { commonName: 'model' },
      { commonName: 'holder' },
      /devices only/,
    ],
    [
      'an operator named after a model',
      'operator',
      'commonName',
      { commonName: 'model' },
      { commonName: 'none' },
      /devices only/,
    ],
    [
      'the root as the issuer',
      'idevid',
      'authority',
      { authority: 'root' },
      { authority: 'ldevid' },
      /one of idevid, ldevid, service/,
    ],
    [
      'an issuer that does not exist',
      'idevid',
      'authority',
      { authority: 'other' },
      { authority: 'idevid' },
      /one of idevid, ldevid, service/,
    ],
  ];

  test.each(twins)('%s', (_title, profile, member, refused, accepted, rule) => {
    const refusedAs = refusal(changed(profile, refused));
    expect(refusedAs).toMatchObject({ code: 'config-invalid', field: `profiles.mine.${member}` });
    expect(refusedAs.message).toMatch(rule);
    expect(refusedAs.message).toContain(`profiles.mine.${member}`);
    expect(parseProfile('mine', changed(profile, accepted), AUTHORITIES).name).toBe('mine');
  });

  test.each(['', 'Mine', 'my profile', 'a.b', '-a', 'ä', 'a'.repeat(65)])('the name %j', (name) => {
    expect(refusal(changed('idevid', {}), name).code).toBe('config-invalid');
  });
});

test.each([
  ['idevid', true],
  ['ldevid', true],
  ['server', false],
  ['operator', false],
] as const)('kind %s belongs to a device: %s', (kind, device) => {
  expect(isDeviceKind(kind)).toBe(device);
});
