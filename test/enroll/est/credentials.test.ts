import { describe, expect, test } from 'vitest';
import { compareBinding } from '../../../src/enroll/compare-binding.ts';
import { parseBasicAuth } from '../../../src/enroll/est/basic-auth.ts';
import { codeOf } from '../../x509/code-of.ts';

const encode = (octets: string | Uint8Array) => Buffer.from(octets).toString('base64');

describe('Basic credentials', () => {
  test.each([
    ['a user and a password', `Basic ${encode('SN-1:secret')}`, 'SN-1', 'secret'],
    ['the scheme in any case', `bASIC  ${encode('SN-1:secret')}  `, 'SN-1', 'secret'],
    ['a serial number with colons', `Basic ${encode('00:1a:2b:secret')}`, '00:1a:2b', 'secret'],
    ['UTF-8', `Basic ${encode('Bürklin:ß')}`, 'Bürklin', 'ß'],
    ['an empty password', `Basic ${encode('SN-1:')}`, 'SN-1', ''],
    ['an empty user', `Basic ${encode(':secret')}`, '', 'secret'],
  ])('are read: %s', (_what, header, user, password) => {
    expect(parseBasicAuth(header)).toEqual({ user, password });
  });

  test.each([undefined, '', 'Bearer abc', 'Digest username="a"', 'Basically YTpi'])(
    'are not there in %s',
    (header) => {
      expect(parseBasicAuth(header)).toBeUndefined();
    },
  );

  test.each([
    ['nothing', 'Basic'],
    ['base64 without padding', 'Basic YTpiYg'],
    ['base64url', `Basic ${encode('a:??>').replaceAll('/', '_')}`],
    ['a space within', 'Basic YTpi YTpi'],
    ['no colon', `Basic ${encode('secret')}`],
    ['Latin-1', `Basic ${encode(Buffer.from('B\u00fcrklin:x', 'latin1'))}`],
    ['a control character', `Basic ${encode('a:b\n')}`],
    ['a NUL', `Basic ${encode('a\u0000:b')}`],
    ['more than anyone sends', `Basic ${encode(`a:${'b'.repeat(800)}`)}`],
  ])('are refused: %s', (_what, header) => {
    expect(codeOf(() => parseBasicAuth(header))).toBe('bad-request');
  });

  test('are not repeated in a refusal', () => {
    expect(() => parseBasicAuth('Basic c2VjcmV0')).toThrow(/^(?!.*(?:secret|c2VjcmV0))/);
  });
});

describe('a channel binding', () => {
  const exporter = Buffer.alloc(32, 0xa5);
  const unique = Buffer.from('0123456789abcdef01234567', 'hex');

  test.each([
    ['of TLS 1.3', exporter],
    ['of TLS 1.2', unique],
  ])('%s is equal to its base64', (_what, binding) => {
    expect(compareBinding(binding.toString('base64'), binding)).toBe('equal');
  });

  test.each([
    ['another connection', Buffer.alloc(32, 0xa6)],
    ['another version of TLS', unique],
    ['its beginning', exporter.subarray(0, 31)],
  ])('is a mismatch with %s', (_what, binding) => {
    expect(compareBinding(binding.toString('base64'), exporter)).toBe('mismatch');
  });

  test.each([
    ['nothing', ''],
    ['the octets themselves', exporter.toString('latin1')],
    ['hexadecimal of an odd length', 'abc'],
    ['base64 without padding', exporter.toString('base64').replace('=', '')],
    ['base64 with a line feed', `${exporter.toString('base64')}\n`],
    ['padding bits that are not zero', 'TR=='],
    ['base64url', '____'],
    ['more than an attribute holds', Buffer.alloc(192).toString('base64')],
  ])('is malformed as %s', (_what, text) => {
    expect(compareBinding(text, exporter)).toBe('malformed');
  });
});
