import fc from 'fast-check';
import { stringify } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { defaultConfig } from '../../src/cli/config/default-config.ts';
import { loadConfig, parseConfig } from '../../src/cli/config/load-config.ts';
import { renderConfig } from '../../src/cli/config/render-config.ts';
import type { Config } from '../../src/cli/config/schema.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { KEY_ALGORITHMS } from '../../src/keys/key-algorithm.ts';
import { codeOf } from '../x509/code-of.ts';

const OPTIONS = {
  publicUrl: 'http://pki.lab.example',
  tlsNames: ['localhost', '127.0.0.1'],
  organization: 'Lab',
  algorithm: 'ec-p256',
} as const;
const standard = defaultConfig(OPTIONS);
const text = renderConfig(standard);

function refusal(toml: string): { code: string; field: string | undefined; message: string } {
  try {
    parseConfig(toml);
  } catch (error) {
    if (error instanceof BirthmarkError)
      return { code: error.code, field: error.field, message: error.message };
    throw error;
  }
  throw new Error('it was accepted');
}

/** The configuration with the member at the path replaced; undefined leaves it out. */
function changed(path: string, value: unknown): string {
  const config: Record<string, unknown> = structuredClone(standard);
  const parts = path.split('.');
  let at = config;
  for (const part of parts.slice(0, -1)) {
    const inner = at[part];
    if (typeof inner !== 'object' || inner === null) throw new Error(`there is no ${path}`);
    at = inner as Record<string, unknown>;
  }
  const last = parts.at(-1) ?? '';
  if (value === undefined) delete at[last];
  else at[last] = value;
  return stringify(config);
}

describe('what init writes', () => {
  test('reads back as what it was', () => {
    expect(parseConfig(text).config).toEqual(standard);
    expect(parseConfig(text).profiles.map(({ name }) => name)).toEqual([
      'idevid',
      'ldevid',
      'server',
      'operator',
    ]);
  });

  test('reads back whatever the organization is called', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
      .filter((one) => [...one].length <= 64 && one.trim() === one);
    fc.assert(
      fc.property(name, fc.constantFrom(...KEY_ALGORITHMS), (organization, algorithm) => {
        const config = defaultConfig({ ...OPTIONS, organization, algorithm });
        expect(parseConfig(renderConfig(config)).config).toEqual(config);
      }),
    );
  });

  test('explains every key in a comment over it', () => {
    const lines = text.split('\n');
    const keys = lines.flatMap((line, at) => (/^[A-Za-z]+ = /.test(line) ? [at] : []));
    expect(keys.length).toBeGreaterThan(80);
    for (const at of keys) expect(lines[at - 1], lines[at]).toMatch(/^# \S/);
    expect(
      Math.max(...lines.filter((line) => line.startsWith('#')).map((line) => line.length)),
    ).toBeLessThanOrEqual(120);
  });

  test('tells the authorities apart, however long the organization is', () => {
    for (const organization of ['x'.repeat(64), `${'x'.repeat(58)} y`, '𝄞'.repeat(64)]) {
      const { authorities } = defaultConfig({ ...OPTIONS, organization });
      const names = Object.values(authorities).map(({ commonName }) => commonName);
      expect(new Set(names).size).toBe(4);
      for (const name of names) {
        expect([...name].length).toBeLessThanOrEqual(64);
        expect(name).toMatch(/CA$/);
        expect(name.isWellFormed()).toBe(true);
      }
      expect(codeOf(() => parseConfig(renderConfig(defaultConfig({ ...OPTIONS, organization }))))).toBe(
        'accepted',
      );
    }
  });
});

describe('is refused, with its member named,', () => {
  test.each<[string, string, unknown, RegExp]>([
    ['an unknown key', 'publicURL', 'x', /not known/],
    ['an unknown key in a table', 'listen.port', 1, /not known/],
    ['an unknown key in a profile', 'profiles.idevid.days', 1, /not known/],
    ['an unknown authority', 'authorities.other', standard.authorities.root, /not known/],
    ['a missing key', 'publicUrl', undefined, /missing/],
    ['a missing table', 'crl', undefined, /missing/],
    ['a missing authority', 'authorities.ldevid', undefined, /missing/],
    ['a missing member of a profile', 'profiles.idevid.kind', undefined, /missing/],
    ['text for a number', 'workers', '2', /integer/],
    ['a fraction', 'workers', 1.5, /integer/],
    ['a number for text', 'publicUrl', 7, /string/],
    ['a word for yes or no', 'profiles.idevid.newKey', 'yes', /boolean/],
    ['a date for text', 'keys.passphraseFile', new Date(0), /string/],
    ['too many workers', 'workers', 65, /64/],
    ['no worker', 'workers', 0, /1/],
    ['a port that is none', 'listen.tlsPort', 65_536, /65535/],
    ['a negative port', 'listen.publicPort', -1, /0/],
    ['no TLS name', 'listen.tlsNames', [], /1/],
    ['a TLS name that is none', 'listen.tlsNames', ['a_b'], /neither/],
    ['a slash at the end of the public URL', 'publicUrl', 'http://a.example/', /pattern/],
    ['a query in the public URL', 'publicUrl', 'http://a.example/?x', /pattern/],
    ['a public URL of another protocol', 'publicUrl', 'ldap://a.example', /pattern/],
    ['a public URL that a certificate cannot hold', 'publicUrl', 'http://bücher.example', /pattern/],
    ['a public URL with a space', 'publicUrl', 'http://a b.example', /pattern/],
    ['a public URL with a line feed', 'publicUrl', 'http://a.example\n', /pattern/],
    ['a public URL with a name and password', 'publicUrl', 'http://a:b@a.example', /pattern/],
    [
      'an algorithm that no authority may have',
      'authorities.root.algorithm',
      'rsa',
      /one of ec-p256, ec-p384, ed25519/,
    ],
    ['an authority without an end', 'authorities.root.validityDays', 'forever', /integer/],
    ['no shard', 'crl.shards', 0, /1/],
    ['weak RSA', 'keyPolicy.minRsaBits', 1024, /2048/],
    ['a least RSA size above the greatest', 'keyPolicy.minRsaBits', 8192, /above/],
    ['a log level that is none', 'log.level', 'chatty', /one of/],
    ['a kind of profile that is none', 'profiles.idevid.kind', 'root', /one of/],
    ['a key algorithm that is none', 'profiles.idevid.allowedKeys', ['dsa'], /one of/],
    ['a usage that only CAs have', 'profiles.idevid.keyUsage', ['digitalSignature', 'keyCertSign'], /one of/],
    [
      'a usage twice',
      'profiles.idevid.keyUsage',
      ['digitalSignature', 'digitalSignature'],
      /duplicate|unique/,
    ],
    ['no key at all', 'profiles.idevid.allowedKeys', [], /1/],
    ['a validity of nothing', 'profiles.ldevid.validityDays', 0, /./],
    ['a rule of profiles', 'profiles.idevid.extendedKeyUsage', ['clientAuth'], /802\.1AR/],
  ])('%s', (_title, path, value, rule) => {
    if (path === 'keyPolicy.minRsaBits' && value === 8192) {
      const both = changed(path, value).replace(/maxRsaBits = \d+/, 'maxRsaBits = 4096');
      expect(refusal(both)).toMatchObject({ code: 'config-invalid', field: path });
      return;
    }
    const refused = refusal(changed(path, value));
    expect(refused).toMatchObject({ code: 'config-invalid', field: expect.stringContaining(path) });
    expect(refused.message).toMatch(rule);
  });

  test.each([
    ['an open text', 'publicUrl = "http', /^line 1, column \d+: /],
    ['a key twice', 'workers = 1\nworkers = 2\n', /^line 2, column \d+: /],
    ['a table twice', '[crl]\n[crl]\n', /^line 2, column \d+: /],
    ['no TOML', '{"publicUrl": 1}', /^line 1, column \d+: /],
  ])('TOML with %s, by line and column', (_title, toml, message) => {
    expect(refusal(toml)).toMatchObject({ code: 'config-invalid', message: expect.stringMatching(message) });
  });

  test('a profile whose name is none', () => {
    const [key = ''] = Object.keys(standard.profiles);
    const config: Config = { ...standard, profiles: { 'My Profile': standard.profiles[key] ?? fail() } };
    expect(refusal(stringify(config)).message).toContain('My Profile');
  });
});

test.each([
  ['an IPv6 address', 'listen.tlsNames', ['::1']],
  ['a path in the public URL', 'publicUrl', 'https://a.example/pki'],
  ['a port in the public URL', 'publicUrl', 'http://[2001:db8::1]:8080'],
  ['a day of validity', 'profiles.ldevid.validityDays', 1],
  ['a free port', 'listen.tlsPort', 0],
])('%s is taken', (_title, path, value) => {
  expect(codeOf(() => parseConfig(changed(path, value)))).toBe('accepted');
});

const edge = { name: 'edge', certificateSha256: 'ab'.repeat(32), header: 'rfc9440' };
const nginx = { ...edge, header: 'nginx', headerName: 'X-SSL-Client-Cert' };

describe('proxies', () => {
  test('are read, with the fingerprint as OpenSSL prints it too', () => {
    const printed = { ...nginx, name: 'inner', certificateSha256: Array(32).fill('CD').join(':') };
    expect(parseConfig(changed('proxies', [edge, printed])).proxies).toEqual([
      { name: 'edge', certificateSha256: 'ab'.repeat(32), forwarded: { kind: 'rfc9440' } },
      {
        name: 'inner',
        certificateSha256: 'cd'.repeat(32),
        forwarded: { kind: 'nginx', header: 'X-SSL-Client-Cert' },
      },
    ]);
    expect(parseConfig(text).proxies).toEqual([]);
  });

  test.each<[string, object, string]>([
    ['a name twice', { ...edge, certificateSha256: 'cd'.repeat(32) }, 'proxies.1.name'],
    ['a certificate twice', { ...edge, name: 'other' }, 'proxies.1.certificateSha256'],
    ['a fingerprint that is none', { ...edge, certificateSha256: 'ab' }, 'proxies.1.certificateSha256'],
    ['a dialect that is none', { ...edge, header: 'x-real-ip' }, 'proxies.1.header'],
    [
      'nginx without its header',
      { ...nginx, name: 'n', certificateSha256: 'cd'.repeat(32), headerName: undefined },
      'proxies.1.headerName',
    ],
    [
      'another dialect with a header',
      { ...nginx, name: 'n', certificateSha256: 'cd'.repeat(32), header: 'xfcc' },
      'proxies.1.headerName',
    ],
    ...['Host', 'authorization', 'Content-Length', 'Client-Cert', 'X-Forwarded-For'].map(
      (headerName): [string, object, string] => [
        `nginx with the header ${headerName}`,
        { ...nginx, name: 'n', certificateSha256: 'cd'.repeat(32), headerName },
        'proxies.1.headerName',
      ],
    ),
  ])('with %s are refused, with the member named', (_title, second, field) => {
    const given = Object.fromEntries(Object.entries(second).filter(([, value]) => value !== undefined));
    expect(refusal(changed('proxies', [edge, given]))).toMatchObject({ code: 'config-invalid', field });
  });
});

test.each([
  ['tlsCertificateFile', 'tlsKeyFile'],
  ['tlsKeyFile', 'tlsCertificateFile'],
])('listen.%s is refused without listen.%s, and taken with it', (one, other) => {
  expect(refusal(changed(`listen.${one}`, 'a.pem'))).toMatchObject({
    code: 'config-invalid',
    field: `listen.${other}`,
  });
  expect(codeOf(() => parseConfig(changed('listen', { ...standard.listen, [one]: 'a', [other]: 'b' })))).toBe(
    'accepted',
  );
});

test('what may be there and is not stands as a comment, and is taken once it is none', () => {
  for (const key of ['tlsCertificateFile', 'constrainedPort'])
    expect(text).toMatch(new RegExp(`^# .*\\n#${key} = `, 'm'));
  const { config, proxies } = parseConfig(text.replace(/^#(?=[[a-z])/gm, ''));
  expect(config.listen).toMatchObject({ constrainedPort: 8444, tlsKeyFile: expect.any(String) });
  expect(proxies.map(({ name }) => name)).toEqual(['edge']);
});

test('a home that is not there is said to be missing', () => {
  expect(codeOf(() => loadConfig('/nowhere/birthmark.toml'))).toBe('home-missing');
});

function fail(): never {
  throw new Error('there is no profile');
}
