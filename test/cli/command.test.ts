import { describe, expect, test } from 'vitest';
import { durationUpTo, repeated, wholeNumber } from '../../src/cli/command.ts';
import { homeAt } from '../../src/cli/home.ts';
import { loopbackWarning } from '../../src/cli/serve/serve.ts';

describe('a duration of at most 90 days', () => {
  const parse = durationUpTo(90);

  test.each([
    ['45s', 45],
    ['30m', 1800],
    ['1h', 3600],
    ['90d', 7_776_000],
  ])('%s is %i seconds', (text, seconds) => {
    expect(parse(text)).toBe(seconds);
  });

  test.each(['', '0d', '1', 'd', '1.5h', '-1h', '1w', '1h30m', ' 1h', '1H', '01h', '9999999999s', '91d'])(
    '%j is none',
    (text) => {
      expect(() => parse(text)).toThrow(/90d/);
    },
  );
});

describe('a whole number from 1 to 64', () => {
  const parse = wholeNumber(1, 64);

  test.each(['1', '64', '007'])('%s is one', (text) => {
    expect(parse(text)).toBe(Number(text));
  });

  test.each(['0', '65', '', ' 1', '1e1', '0x1', '1.0', '-1', 'Infinity'])('%j is none', (text) => {
    expect(() => parse(text)).toThrow(/from 1 to 64/);
  });
});

test('what is given several times is collected', () => {
  expect(repeated('b', repeated('a', undefined))).toEqual(['a', 'b']);
});

test('a home names its parts by absolute paths', () => {
  const home = homeAt('/srv/../srv/home/');
  expect([home.path, home.config, home.ledger]).toEqual([
    '/srv/home',
    '/srv/home/birthmark.toml',
    '/srv/home/ledger.db',
  ]);
  expect([home.key('idevid'), home.pem('root')]).toEqual([
    '/srv/home/keys/idevid.key',
    '/srv/home/pki/root.pem',
  ]);
});

test.each([
  ['http://127.0.0.1:8080', true],
  ['http://127.1.2.3', true],
  ['http://localhost', true],
  ['http://[::1]:8080', true],
  ['http://pki.example', false],
  ['http://127.0.0.1.example', false],
  ['http://localhost.example', false],
])('certificates that name %s are warned about: %s', (url, warned) => {
  expect(loopbackWarning(url) !== undefined).toBe(warned);
});
