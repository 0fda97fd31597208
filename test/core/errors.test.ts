import { expect, test } from 'vitest';
import { BirthmarkError, ERROR_CODES } from '../../src/core/errors.ts';

test('carries code, field and cause, and keeps the cause out of the message', () => {
  const cause = new Error('secret');
  const error = new BirthmarkError('bad-csr', 'the CSR is broken', { field: 'csr', cause });
  expect(error).toBeInstanceOf(Error);
  expect({ ...error, message: error.message, cause: error.cause }).toMatchObject({
    name: 'BirthmarkError',
    code: 'bad-csr',
    field: 'csr',
    message: 'the CSR is broken',
  });
  expect(error.cause).toBe(cause);
  expect(String(error)).not.toContain('secret');
});

test('has no cause where none was given', () => {
  const error = new BirthmarkError('internal', 'why');
  expect(Object.hasOwn(error, 'cause')).toBe(false);
  expect(error.field).toBeUndefined();
});

test('lists every code once, in kebab-case', () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length);
  expect(ERROR_CODES.filter((code) => !/^[a-z]+(?:-[a-z0-9]+)*$/.test(code))).toEqual([]);
});
