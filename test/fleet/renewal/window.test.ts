import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { parseRenewalId, renewalId } from '../../../src/fleet/renewal/renewal-id.ts';
import { windowOf } from '../../../src/fleet/renewal/window.ts';
import { DEFAULT_ROTATION, parseRotation } from '../../../src/fleet/rotation/settings.ts';
import { seededRandom } from '../../house.ts';

const DAY_MS = 86_400_000;
const SHARES = { start: 0.6, end: 0.8 };
const validity = (serial: Uint8Array, days = 90) => ({ serial, notBefore: 0, notAfter: days * DAY_MS });

describe('the window of a certificate', () => {
  test('is the same whenever it is asked for, and another one for another serial number', () => {
    const random = seededRandom();
    const [a, b] = [validity(random(16)), validity(random(16))];
    expect(windowOf(a, SHARES)).toEqual(windowOf({ ...a }, SHARES));
    expect(windowOf(a, SHARES)).not.toEqual(windowOf(b, SHARES));
  });

  test('lies within what the policy says, and ends after it begins, in whole seconds', () => {
    const random = seededRandom();
    for (const days of [1 / 86_400, 1 / 24, 1, 90, 3650])
      for (let at = 0; at < 100; at += 1) {
        const one = validity(random(16), days);
        const { start, end } = windowOf(one, SHARES);
        expect(end).toBeGreaterThan(start);
        expect((start % 1000) + (end % 1000)).toBe(0);
        expect(start).toBeGreaterThanOrEqual(Math.floor((0.6 * days * DAY_MS) / 1000) * 1000);
        expect(end).toBeLessThanOrEqual(Math.max(start + 1000, 0.8 * days * DAY_MS));
      }
  });

  test('spreads a fleet that was born at once: no tenth of the time has more than a fifth of it', () => {
    const random = seededRandom();
    const tenths = new Array<number>(10).fill(0);
    for (let at = 0; at < 1000; at += 1) {
      const { start } = windowOf(validity(random(16)), SHARES);
      const tenth = Math.floor(((start / DAY_MS / 90 - 0.6) / 0.18) * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.max(...tenths)).toBeLessThan(200);
    expect(Math.min(...tenths)).toBeGreaterThan(50);
  });
});

test('a policy whose window ends before it begins is refused, one that does not is taken', () => {
  const config = { ...DEFAULT_ROTATION, windowStartPercent: 80 };
  expect(() => parseRotation({ ...config, windowEndPercent: 80 })).toThrow(BirthmarkError);
  expect(parseRotation({ ...config, windowEndPercent: 81 }).window).toEqual({ start: 0.8, end: 0.81 });
});

describe('an id', () => {
  test('is that of the example of RFC 9773 §4.1', () => {
    const text = 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE';
    const { issuerKeyId, serial } = parseRenewalId(text);
    expect(Buffer.from(issuerKeyId).toString('hex')).toBe('69885b6b87464041e1b37b847ba0ae2cde01c8d4');
    expect(Buffer.from(serial).toString('hex')).toBe('0087654321');
    expect(renewalId({ issuerKeyId, serial })).toBe(text);
  });

  test.each([
    ['padding', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE'],
    ['the other alphabet', 'aYhba4dGQEHhs3uEe6CuLN4By+Q.AIdlQyE'],
    ['no dot', 'aYhba4dGQEHhs3uEe6CuLN4ByNQAIdlQyE'],
    ['bits that are left over', 'aYhba4dGQEHhs3uEe6CuLN4ByNR.AIdlQyE'],
    ['a negative serial number', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ'],
    ['an octet too many', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AAEB'],
    ['no serial number', 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.'],
  ])('with %s is refused', (_, text) => {
    expect(() => parseRenewalId(text)).toThrow(BirthmarkError);
  });
});
