import { describe, expect, test } from 'vitest';
import { DerReader } from '../../../src/x509/der/reader.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { encodeTimeContent, isUtcTime, NO_EXPIRY } from '../../../src/x509/der/time.ts';
import { time } from '../../../src/x509/der/values.ts';
import { codeOf } from '../code-of.ts';
import { tlv } from '../tlv.ts';

function read(tag: number, text: string): string {
  const reader = new DerReader(tlv(tag, Buffer.from(text, 'latin1')));
  return new Date(reader.time('time')).toISOString();
}

function written(at: string): readonly [tag: number, text: string] {
  const { tag, content } = time(Date.parse(at));
  return [tag, Buffer.from(content as Uint8Array).toString('latin1')];
}

describe('what is read', () => {
  test.each([
    ['UTCTime', TAG.utcTime, '260102030405Z', '2026-01-02T03:04:05.000Z'],
    ['UTCTime 49', TAG.utcTime, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    ['UTCTime 50', TAG.utcTime, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [
      'UTCTime 99, the year that 9999 must not be written as',
      TAG.utcTime,
      '991231235959Z',
      '1999-12-31T23:59:59.000Z',
    ],
    ['GeneralizedTime 2050', TAG.generalizedTime, '20500101000000Z', '2050-01-01T00:00:00.000Z'],
    ['GeneralizedTime 9999', TAG.generalizedTime, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
    ['GeneralizedTime 0000', TAG.generalizedTime, '00000101000000Z', '0000-01-01T00:00:00.000Z'],
    ['GeneralizedTime 0099', TAG.generalizedTime, '00991231235959Z', '0099-12-31T23:59:59.000Z'],
    ['29 February 2024', TAG.utcTime, '240229000000Z', '2024-02-29T00:00:00.000Z'],
    ['29 February 2000', TAG.utcTime, '000229000000Z', '2000-02-29T00:00:00.000Z'],
  ])('%s', (_title, tag, text, at) => {
    expect(read(tag, text)).toBe(at);
  });

  test.each([
    ['UTCTime without seconds', TAG.utcTime, '2601020304Z'],
    ['UTCTime with an offset', TAG.utcTime, '260102030405+0000'],
    ['UTCTime with a short offset', TAG.utcTime, '26010203+0000'],
    ['UTCTime without Z', TAG.utcTime, '260102030405'],
    ['UTCTime with a small z', TAG.utcTime, '260102030405z'],
    ['UTCTime with a four-digit year', TAG.utcTime, '20260102030405Z'],
    ['GeneralizedTime with a two-digit year', TAG.generalizedTime, '260102030405Z'],
    ['GeneralizedTime with a fraction', TAG.generalizedTime, '20260102030405.5Z'],
    ['GeneralizedTime with an empty fraction', TAG.generalizedTime, '20260102030405.Z'],
    ['GeneralizedTime with an offset', TAG.generalizedTime, '20260102030405+0100'],
    ['GeneralizedTime without seconds', TAG.generalizedTime, '202601020304Z'],
    ['a sign for a digit', TAG.utcTime, '2601020304+5Z'],
    ['a space for a digit', TAG.utcTime, '2601020304 5Z'],
    ['a colon, the character behind 9', TAG.utcTime, '26010203040:Z'],
    ['a slash, the character before 0', TAG.utcTime, '26010203040/Z'],
    ['nothing', TAG.utcTime, ''],
    ['30 February', TAG.utcTime, '240230000000Z'],
    ['29 February 2023', TAG.utcTime, '230229000000Z'],
    ['29 February 1900', TAG.generalizedTime, '19000229000000Z'],
    ['31 April', TAG.utcTime, '260431000000Z'],
    ['day 0', TAG.utcTime, '260100000000Z'],
    ['day 32', TAG.utcTime, '260132000000Z'],
    ['month 0', TAG.utcTime, '260001000000Z'],
    ['month 13', TAG.utcTime, '261301000000Z'],
    ['hour 24', TAG.utcTime, '260101240000Z'],
    ['minute 60', TAG.utcTime, '260101006000Z'],
    ['a leap second', TAG.utcTime, '161231235960Z'],
    ['another type', TAG.ia5String, '260102030405Z'],
  ])('refuses %s', (_title, tag, text) => {
    expect(codeOf(() => read(tag, text))).toBe('bad-der');
  });
});

describe('what is written', () => {
  test.each([
    ['1949-12-31T23:59:59.999Z', TAG.generalizedTime, '19491231235959Z'],
    ['1950-01-01T00:00:00Z', TAG.utcTime, '500101000000Z'],
    ['2026-01-02T03:04:05.999Z', TAG.utcTime, '260102030405Z'],
    ['2049-12-31T23:59:59.999Z', TAG.utcTime, '491231235959Z'],
    ['2050-01-01T00:00:00Z', TAG.generalizedTime, '20500101000000Z'],
    ['9999-12-31T23:59:59Z', TAG.generalizedTime, '99991231235959Z'],
  ])('%s (RFC 5280 §4.1.2.5)', (at, tag, text) => {
    expect(written(at)).toEqual([tag, text]);
  });

  test('no expiry is 99991231235959Z', () => {
    expect(Buffer.from(encodeTimeContent(NO_EXPIRY)).toString()).toBe('99991231235959Z');
  });

  test('GeneralizedTime before 2050 where the field knows no other', () => {
    const content = encodeTimeContent(Date.UTC(2026, 0, 2, 3, 4, 5), true);
    expect(Buffer.from(content).toString()).toBe('20260102030405Z');
  });

  test.each([
    ['a year of five digits', Date.UTC(10_000, 0, 1)],
    ['a year before Christ', Date.UTC(-1, 11, 31)],
    ['no date', Number.NaN],
    ['a time that no date can be', 1e300],
  ])('refuses %s', (_title, at) => {
    expect(codeOf(() => time(at))).toBe('internal');
  });

  test('refuses UTCTime for a year that has none', () => {
    expect(isUtcTime(NO_EXPIRY)).toBe(false);
    expect(codeOf(() => encodeTimeContent(NO_EXPIRY, false))).toBe('internal');
  });
});
