import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asBuffer, equalBytes, parseBase64, toBase64, toHex } from '../../src/core/bytes.ts';
import { BirthmarkError } from '../../src/core/errors.ts';

function codeOf(text: string): string {
  try {
    parseBase64(text, 'csr');
    return 'accepted';
  } catch (error) {
    if (error instanceof BirthmarkError) return error.code;
    throw error;
  }
}

describe('base64', () => {
  test('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        expect(equalBytes(parseBase64(toBase64(octets), 'csr'), octets)).toBe(true);
      }),
    );
  });

  test.each([
    ['the whole alphabet', 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'accepted'],
    ['nothing', '', 'accepted'],
    ['two octets of padding', '/w==', 'accepted'],
    ['one octet of padding', '//8=', 'accepted'],
    ['the alphabet of base64url', '__8=', 'bad-base64'],
    ['no padding', '/w', 'bad-base64'],
    ['too little padding', '/w=', 'bad-base64'],
    ['too much padding', '/w===', 'bad-base64'],
    ['padding alone', '====', 'bad-base64'],
    ['padding in the middle', '/w==/w==', 'bad-base64'],
    ['stray bits under two octets of padding', '/x==', 'bad-base64'],
    ['stray bits under one octet of padding', '//9=', 'bad-base64'],
    ['a line break', '////\n////', 'bad-base64'],
    ['a line break at the end', '///\n', 'bad-base64'],
    ['a space', '/// ////', 'bad-base64'],
    ['a character outside of ASCII', '//ü/', 'bad-base64'],
    ['a NUL', '///\0', 'bad-base64'],
  ])('takes or refuses %s', (_title, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  test('names the field', () => {
    expect(() => parseBase64('*', 'csr')).toThrow(/^csr is not base64/);
  });

  test('reads sixteen megabytes', () => {
    expect(parseBase64('A'.repeat(16_000_000), 'csr')).toHaveLength(12_000_000);
  });
});

describe('octets', () => {
  test('as hexadecimal', () => {
    expect(toHex(Uint8Array.of(0, 1, 0xfe))).toBe('0001fe');
  });

  test('as a Buffer over the same memory', () => {
    const octets = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
    const buffer = asBuffer(octets);
    octets[0] = 9;
    expect([...buffer]).toEqual([9, 3]);
    expect(asBuffer(buffer)).toBe(buffer);
  });

  test('are equal only in full', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Buffer.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
    expect(equalBytes(Uint8Array.of(), Uint8Array.of())).toBe(true);
  });
});
