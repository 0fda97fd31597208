import { describe, expect, test } from 'vitest';
import { parseProfile } from '../../../src/ca/parse-profile.ts';
import { BirthmarkError } from '../../../src/core/errors.ts';
import {
  parseHardware,
  readFactoryLine,
  writeErrorLine,
  writeResultLine,
} from '../../../src/enroll/factory/codec.ts';
import { newCsr, testProfiles } from '../../house.ts';
import { codeOf } from '../../x509/code-of.ts';

const profiles = new Map(
  testProfiles({ typed: { hwType: '1.3.6.1.4.1.99999.1.1' } }).map(([name, config]) => [
    name,
    parseProfile(name, config, ['idevid', 'ldevid', 'service']),
  ]),
);
const [idevid, typed] = [profiles.get('idevid'), profiles.get('typed')];
if (!idevid || !typed) throw new Error('no profiles');

const der = newCsr();
const csr = der.toString('base64');
const good = { serialNumber: 'SN-1', csr };

function read(line: object | string, profile = idevid) {
  if (!profile) throw new Error('no profile');
  return readFactoryLine(typeof line === 'string' ? line : JSON.stringify(line), 7, profile);
}

/** `taken`, or the code and how the line is named in the answer. */
function verdict(line: object | string): string {
  const { name, ...rest } = read(line);
  return 'error' in rest ? `${rest.error.code} ${JSON.stringify(name)}` : 'taken';
}

test('reads every member of a line', () => {
  const line = {
    ...good,
    hwType: '1.2.3',
    hwSerialNum: Buffer.from('hw').toString('base64'),
    model: 'P-7',
    batch: 'B1',
  };
  expect(read(line)).toEqual({
    name: { serialNumber: 'SN-1' },
    request: {
      device: { namespace: 'own', serialNumber: 'SN-1' },
      profile: idevid,
      csr: der,
      model: 'P-7',
      batch: 'B1',
      hardware: { hwType: '1.2.3', hwSerialNum: Buffer.from('hw') },
    },
  });
});

test('reads a line with white space around it, as one behind a carriage return has', () => {
  expect(verdict(` ${JSON.stringify(good)}\t\r`)).toBe('taken');
});

describe('a line that is refused is named by its serial number, or by its own number where it has none', () => {
  const byNumber = '{"line":7}';
  const byName = '{"serialNumber":"SN-1"}';
  test.each([
    ['no JSON', '{', `bad-json ${byNumber}`],
    ['nothing', '', `bad-json ${byNumber}`],
    ['two objects', `${JSON.stringify(good)}${JSON.stringify(good)}`, `bad-json ${byNumber}`],
    ['a byte order mark', `\ufeff${JSON.stringify(good)}`, `bad-json ${byNumber}`],
    ['an array', [good], `bad-request ${byNumber}`],
    ['null', 'null', `bad-request ${byNumber}`],
    ['a number', '7', `bad-request ${byNumber}`],
    ['no serial number', { csr }, `bad-request ${byNumber}`],
    ['a serial number that is a number', { ...good, serialNumber: 1 }, `bad-request ${byNumber}`],
    [
      'an absurdly long serial number',
      { ...good, serialNumber: 'A'.repeat(257) },
      `serial-number-invalid ${byNumber}`,
    ],
    [
      'a long serial number',
      { ...good, serialNumber: 'A'.repeat(65) },
      `serial-number-invalid {"serialNumber":"${'A'.repeat(65)}"}`,
    ],
    [
      'a serial number that does not print',
      { ...good, serialNumber: 'SN_1' },
      'serial-number-invalid {"serialNumber":"SN_1"}',
    ],
    ['no CSR', { serialNumber: 'SN-1' }, `bad-request ${byName}`],
    ['a CSR that is no text', { ...good, csr: [csr] }, `bad-request ${byName}`],
    ['a CSR in wrong base64', { ...good, csr: `${csr}=` }, `bad-base64 ${byName}`],
    ['an unknown member', { ...good, serial_number: 'x' }, `bad-request ${byName}`],
    ['an own __proto__', `{"serialNumber":"SN-1","csr":"","__proto__":{}}`, `bad-request ${byName}`],
    ['an empty model', { ...good, model: '' }, `bad-request ${byName}`],
    ['a model of 65 characters', { ...good, model: 'x'.repeat(65) }, `bad-request ${byName}`],
    ['a model that steers terminals', { ...good, model: '\u001b[2J' }, `bad-request ${byName}`],
    ['a batch on two lines', { ...good, batch: 'a\nb' }, `bad-request ${byName}`],
    ['an empty batch', { ...good, batch: '' }, `bad-request ${byName}`],
    ['a hwType without a hwSerialNum', { ...good, hwType: '1.2.3' }, `hardware-name-invalid ${byName}`],
    ['a hwSerialNum without a hwType', { ...good, hwSerialNum: 'eA==' }, `hardware-name-invalid ${byName}`],
    [
      'a hwSerialNum in wrong base64',
      { ...good, hwType: '1.2.3', hwSerialNum: 'eA' },
      `bad-base64 ${byName}`,
    ],
  ])('%s', (_title, line, expected) => {
    expect(verdict(line)).toBe(expected);
  });
});

describe('hardware', () => {
  const octets = (length: number) => Buffer.alloc(length, 1).toString('base64');
  test.each([
    ['nothing is nothing', undefined, undefined, 'accepted'],
    ['64 octets', '1.2.3', octets(64), 'accepted'],
    ['65 octets', '1.2.3', octets(65), 'hardware-name-invalid'],
    ['no octet', '1.2.3', '', 'hardware-name-invalid'],
    ['a type that is no object identifier', '1.2.x', octets(1), 'hardware-name-invalid'],
    ['a type beyond what one can be', '3.1', octets(1), 'hardware-name-invalid'],
  ])('%s', (_title, type, serial, code) => {
    expect(codeOf(() => parseHardware(type, serial, idevid))).toBe(code);
  });

  test("the profile's type goes with a serial number of the line", () => {
    expect(parseHardware(undefined, octets(2), typed)).toMatchObject({ hwType: '1.3.6.1.4.1.99999.1.1' });
    expect(parseHardware('1.2.3', octets(2), typed)).toMatchObject({ hwType: '1.2.3' });
  });
});

describe('an answer is one line', () => {
  const result = {
    serialNumber: 'SN-1',
    serial: Uint8Array.of(1, 0xab),
    certificate: der,
    chain: [],
    notGranted: [] as string[],
  };

  test('of a certificate, with what was not granted only where there is something', () => {
    const line = writeResultLine(result);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual({
      serialNumber: 'SN-1',
      serial: '01ab',
      certificate: expect.stringMatching(/^-----BEGIN CERTIFICATE-----\n/),
    });
    expect(JSON.parse(writeResultLine({ ...result, notGranted: ['subject CN=\n'] })).notGranted).toEqual([
      'subject CN=\n',
    ]);
  });

  test('of an error, whatever is in its text', () => {
    const line = writeErrorLine(
      { line: 3 },
      new BirthmarkError('bad-json', 'two\nlines', { cause: new Error('secret') }),
    );
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual({ line: 3, error: { code: 'bad-json', detail: 'two\nlines' } });
  });
});
