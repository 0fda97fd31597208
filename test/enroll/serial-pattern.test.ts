import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesPattern } from '../../src/enroll/serial-pattern.ts';

/** The same language as a regular expression. */
function oracle(pattern: string): RegExp {
  const body = [...pattern]
    .map((character) => {
      if (character === '*') return '.*';
      return character === '?' ? '.' : character.replace(/[.+^${}()|[\]\\]/, '\\$&');
    })
    .join('');
  return new RegExp(`^${body}$`, 's');
}

test('means the same as the regular expression', () => {
  const letters = fc.constantFrom('a', 'b', '*', '?', '.', '(', '+');
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '?', '.', '(', '+'), maxLength: 12 });
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 8 }), text, (pattern, serial) => {
      expect(matchesPattern(pattern, serial)).toBe(oracle(pattern).test(serial));
    }),
    { numRuns: 3000 },
  );
});

test.each([
  ['SN-7*', 'SN-7', true],
  ['SN-7*', 'SN-70001', true],
  ['SN-7*', 'SN-8', false],
  ['SN-7*', 'xSN-7', false],
  ['SN-7', 'SN-70', false],
  ['sn-7', 'SN-7', false],
  ['SN-????', 'SN-0001', true],
  ['SN-????', 'SN-001', false],
  ['*-EU', 'A-B-EU', true],
  ['*-EU', 'A-EU-B', false],
  ['*', '', true],
  ['?', '', false],
  ['', '', true],
  ['', 'A', false],
  ['A**B', 'AB', true],
  ['A.C', 'ABC', false],
  ['[A-Z]', 'A', false],
])('%s fits %s: %s', (pattern, serial, fits) => {
  expect(matchesPattern(pattern, serial)).toBe(fits);
});

test('a pattern of many stars ends fast', () => {
  const pattern = `${'*a'.repeat(64)}b`;
  const started = performance.now();
  for (let at = 0; at < 200; at += 1) expect(matchesPattern(pattern, 'a'.repeat(64))).toBe(false);
  // Backtracking would take longer than the sun lasts.
  expect(performance.now() - started).toBeLessThan(2000);
});
