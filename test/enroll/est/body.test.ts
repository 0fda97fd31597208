import { describe, expect, test } from 'vitest';
import { decodeBody } from '../../../src/enroll/est/body.ts';
import { assertMediaType } from '../../../src/enroll/est/media-type.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { codeOf } from '../../x509/code-of.ts';
import { sampleCsr, sampleKey } from '../../x509/samples.ts';

const csr = sampleCsr(sampleKey('P-256'));
const base64 = csr.toString('base64');
const wrapped = base64.replace(/.{64}/g, '$&\n');
const pem = toPem('CERTIFICATE REQUEST', csr);
const strict = { pem: false };
const lenient = { pem: true };
const read = (body: string | Uint8Array, leniency = strict) => decodeBody(Buffer.from(body), leniency);

describe('a body is read', () => {
  test.each([
    ['on one line', base64],
    ['with a line feed', `${base64}\n`],
    ['wrapped with LF', wrapped],
    ['wrapped with CRLF', wrapped.replaceAll('\n', '\r\n')],
    ['with white space anywhere', ` ${base64.slice(0, 7)} \t${base64.slice(7, 9)}\r\n\n${base64.slice(9)}\t`],
  ])('%s', (_form, body) => {
    expect(read(body)).toEqual(csr);
    expect(read(body, lenient)).toEqual(csr);
  });

  test('in PEM where the configuration allows it', () => {
    expect(read(pem, lenient)).toEqual(csr);
  });
});

describe('a body is refused', () => {
  test.each([
    ['in PEM', pem, /leave the lines out/],
    ['as DER', csr, /is DER; EST takes it in base64/],
    ['that is empty', '', /is empty/],
    ['of white space', ' \r\n\t', /is empty/],
    ['with a character of base64url', base64.replace(/[A-Za-z]/, '_'), /RFC 4648/],
    ['with a character that Node would skip', `${base64.slice(0, 8)}!${base64.slice(8)}`, /RFC 4648/],
    ['with another white space', `${base64}\u000b`, /RFC 4648/],
    ['with a NUL', `${base64}\u0000`, /RFC 4648/],
    ['without its padding', 'TQ', /RFC 4648/],
    ['with padding in the middle', 'TQ==TQ==', /RFC 4648/],
    ['with padding bits that are not zero', 'TR==', /RFC 4648/],
    ['with one character more', `${base64}A`, /RFC 4648/],
    ['with UTF-8', `${base64}é`, /RFC 4648/],
  ])('%s', (_what, body, why) => {
    expect(codeOf(() => read(body))).toBe('bad-base64');
    expect(() => read(body)).toThrow(why);
  });

  test('in PEM of something else, where PEM is taken', () => {
    expect(codeOf(() => read(toPem('CERTIFICATE', csr), lenient))).toBe('bad-pem');
  });
});

describe('a Content-Type', () => {
  test.each([
    'application/pkcs10',
    'Application/PKCS10',
    'application/pkcs10; charset=utf-8',
    ' application/pkcs10 ;name="a;b"',
  ])('is taken: %s', (type) => {
    expect(() => assertMediaType(type, 'application/pkcs10')).not.toThrow();
  });

  test.each([
    undefined,
    '',
    'application/pkcs10x',
    'text/plain',
    'application/json; a=application/pkcs10',
    'application/pkcs10, text/plain',
    'application /pkcs10',
  ])('is refused: %s', (type) => {
    expect(codeOf(() => assertMediaType(type, 'application/pkcs10'))).toBe('unsupported-media-type');
  });
});
