import { describe, expect, test } from 'vitest';
import { type ClientIdRule, clientIdFault } from '../../src/broker-auth/client-id.ts';
import { parseTemplate, type Variable } from '../../src/broker-auth/variables.ts';

const to = [parseTemplate('${id}', 'to')];
const equal: ClientIdRule = { bind: 'equal', to };
const prefix: ClientIdRule = { bind: 'prefix', to, separator: '-' };
const values = (id: string) => new Map<Variable, string>([['id', id]]);
const allowed = (clientId: string, rule: ClientIdRule, id = 'dev1') =>
  clientIdFault(clientId, rule, values(id)) === undefined;

describe('a ClientId that must be equal', () => {
  test('is the id', () => {
    expect(allowed('dev1', equal)).toBe(true);
  });
  test.each(['dev10', 'dev', 'DEV1', 'dev1 ', '', 'dev1-a', '\u{FF44}ev1'])('is not %j', (other) => {
    expect(allowed(other, equal)).toBe(false);
  });
  test('may be one of a set', () => {
    const either: ClientIdRule = { bind: 'equal', to: [...to, parseTemplate('gw:${id}', 'to')] };
    expect(allowed('gw:dev1', either)).toBe(true);
    expect(allowed('gw:dev2', either)).toBe(false);
  });
});

describe('a ClientId that must begin with the id', () => {
  test.each(['dev1', 'dev1-', 'dev1-shell'])('may be %s', (clientId) => {
    expect(allowed(clientId, prefix)).toBe(true);
  });
  test.each(['dev10', 'dev1x', 'dev1-a-b', 'dev2-a', 'dev'])('may not be %s', (clientId) => {
    expect(allowed(clientId, prefix)).toBe(false);
  });
  test("may not lead into another device's, whose id has the separator in it", () => {
    expect(allowed('a-b', prefix, 'a')).toBe(true);
    expect(allowed('a-b', prefix, 'a-b')).toBe(false);
  });
});

describe('any ClientId', () => {
  test('is what the client likes', () => {
    expect(allowed('whatever', { bind: 'any' })).toBe(true);
    expect(allowed('', { bind: 'any' })).toBe(true);
  });
  test.each(['a\nb', 'nul\0', 'lone\udc00', 'x'.repeat(513)])('is still not %j', (clientId) => {
    expect(allowed(clientId, { bind: 'any' })).toBe(false);
  });
});

test('an id that is hostile gives no ClientId at all', () => {
  expect(allowed('a/b', equal, 'a/b')).toBe(false);
});
