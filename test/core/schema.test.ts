import Type from 'typebox';
import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import { schemaParser } from '../../src/core/schema.ts';

const parse = schemaParser(
  Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: 4 }),
      level: Type.Optional(Type.Enum(['low', 'high'])),
      inner: Type.Optional(
        Type.Object({ count: Type.Integer({ minimum: 1 }) }, { additionalProperties: false }),
      ),
      list: Type.Optional(Type.Array(Type.String(), { maxItems: 2, uniqueItems: true })),
    },
    { additionalProperties: false },
  ),
  'config-invalid',
);

function refusal(value: unknown, what = ''): { code: string; field: string | undefined; message: string } {
  try {
    parse(value, what);
  } catch (error) {
    if (error instanceof BirthmarkError)
      return { code: error.code, field: error.field, message: error.message };
    throw error;
  }
  throw new Error('it was accepted');
}

test('gives back what fits, untouched', () => {
  const value = { name: 'a', level: 'low', inner: { count: 1 }, list: ['x', 'y'] };
  expect(parse(value, '')).toBe(value);
});

describe('refuses with the member and the rule', () => {
  test.each([
    ['a missing member', {}, 'name', /^name is missing$/],
    ['an unknown member', { name: 'a', nmae: 1 }, 'nmae', /^nmae is not known here$/],
    ['an unknown member further in', { name: 'a', inner: { count: 1, x: 1 } }, 'inner.x', /not known here/],
    ['an own __proto__', JSON.parse('{"name":"a","__proto__":{"x":1}}'), '__proto__', /not known here/],
    ['a wrong type', { name: 7 }, 'name', /string/],
    ['null for an object', { name: 'a', inner: null }, 'inner', /object/],
    ['an array for an object', [], '', /^the value/],
    ['too long a text', { name: 'abcde' }, 'name', /4/],
    ['an empty text', { name: '' }, 'name', /1/],
    [
      'what is not in a list of words',
      { name: 'a', level: 'mid' },
      'level',
      /^level must be one of low, high$/,
    ],
    ['a number with a fraction', { name: 'a', inner: { count: 1.5 } }, 'inner.count', /integer/],
    ['too small a number', { name: 'a', inner: { count: 0 } }, 'inner.count', /1/],
    ['not a number', { name: 'a', inner: { count: Number.NaN } }, 'inner.count', /integer/],
    ['too many items', { name: 'a', list: ['a', 'b', 'c'] }, 'list', /2/],
    ['an item twice', { name: 'a', list: ['a', 'a'] }, 'list', /duplicate|unique/],
    ['a wrong item', { name: 'a', list: ['a', 1] }, 'list.1', /string/],
  ])('%s', (_title, value, field, message) => {
    const refused = refusal(value);
    expect(refused).toMatchObject({ code: 'config-invalid', field });
    expect(refused.message).toMatch(message);
  });

  test('what the caller calls it stands in front', () => {
    expect(refusal({ name: 1 }, 'file').field).toBe('file.name');
  });
});
