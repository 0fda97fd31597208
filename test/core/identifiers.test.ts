import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../src/core/errors.ts';
import {
  isLabel,
  isOid,
  isPrintable,
  parseCertificateSerial,
  parseSerialNumber,
} from '../../src/core/identifiers.ts';

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'accepted';
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
}

describe("a device's serial number", () => {
  test.each([
    ['every character of a PrintableString', "AZaz09 '()+,-./:=?"],
    ['one character', 'A'],
    ['64 characters', 'A'.repeat(64)],
    ['a space within', 'A 1'],
  ])('takes %s', (_title, text) => {
    expect(parseSerialNumber(text)).toBe(text);
  });

  test.each([
    ['no character', ''],
    ['65 characters', 'A'.repeat(65)],
    ['a space in front', ' A'],
    ['a space behind', 'A '],
    ['two spaces in a row', 'A  1'],
    ['an underscore', 'A_1'],
    ['an asterisk', 'A*1'],
    ['an at sign', 'A@1'],
    ['a letter outside of ASCII', 'Ä1'],
    ['a digit outside of ASCII', '\u0661'],
    ['a line feed behind', 'A\n'],
    ['a NUL', 'A\0'],
    ['a tabulator', 'A\t1'],
  ])('refuses %s', (_title, text) => {
    expect(codeOf(() => parseSerialNumber(text))).toBe('serial-number-invalid');
  });

  test('names the field', () => {
    expect(() => parseSerialNumber('', 'devices[3].serialNumber')).toThrow(
      /^devices\[3\]\.serialNumber must/,
    );
  });
});

describe("a certificate's serial number", () => {
  test.each([
    ['as we show it', '019a00ff', '019a00ff'],
    ['in capitals with colons', '01:9A:00:FF', '019a00ff'],
    ['with 0x', '0x19a', '019a'],
    ['with spaces around', ' 19a \n', '019a'],
    ['with the octet that keeps it positive', '00:80:01', '8001'],
    ['of 20 octets behind such an octet', `00${'ff'.repeat(20)}`, 'ff'.repeat(20)],
    ['zero', '0', '00'],
  ])('reads it %s', (_title, text, serial) => {
    expect(parseCertificateSerial(text)).toBe(serial);
  });

  test.each([
    ['nothing', ''],
    ['0x alone', '0x'],
    ['a letter that is no digit', '19g'],
    ['a sign', '-1'],
    ['21 octets', 'ff'.repeat(21)],
    ['a space within', '01 9a'],
  ])('refuses %s', (_title, text) => {
    expect(codeOf(() => parseCertificateSerial(text))).toBe('bad-request');
  });
});

test.each([
  ['a', true],
  ['a-1', true],
  ['0', true],
  ['a'.repeat(64), true],
  ['a'.repeat(65), false],
  ['', false],
  ['-a', false],
  ['a-', false],
  ['A', false],
  ['a_b', false],
  ['a.b', false],
  ['a\n', false],
  ['..', false],
])('label %j: %s', (text, expected) => {
  expect(isLabel(text)).toBe(expected);
});

test.each([
  ['1.2', true],
  ['0.39', true],
  ['0.40', false],
  ['1.40', false],
  ['2.999', true],
  ['3.1', false],
  ['2', false],
  ['1.2.', false],
  ['1..2', false],
  ['1.02', false],
  ['1.2.03', false],
  ['1.3.6.1.4.1.99999.1.1', true],
  ['2.25.99999999999', false],
  ['1.2.3 ', false],
  ['', false],
])('object identifier %j: %s', (text, expected) => {
  expect(isOid(text)).toBe(expected);
});

test.each([
  ["A z9'()+,-./:=?", true],
  ['', false],
  ['a@b', false],
  ['a&b', false],
  ['é', false],
])('PrintableString %j: %s', (text, expected) => {
  expect(isPrintable(text)).toBe(expected);
});
