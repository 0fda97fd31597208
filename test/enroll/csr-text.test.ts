import { describe, expect, test } from 'vitest';
import { parseCsrText } from '../../src/enroll/csr-text.ts';
import { toPem } from '../../src/x509/pem.ts';
import { newCsr } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

const der = newCsr();
const base64 = der.toString('base64');
const pem = toPem('CERTIFICATE REQUEST', der);

describe('takes', () => {
  test.each([
    ['PEM', pem],
    ['the older label', toPem('NEW CERTIFICATE REQUEST', der)],
    ['PEM with carriage returns', pem.replaceAll('\n', '\r\n')],
    ["PEM behind OpenSSL's text", `Certificate Request:\n    Data:\n${pem}`],
    ['base64 of the DER', base64],
  ])('%s', (_title, text) => {
    expect(parseCsrText(text)).toEqual(der);
  });
});

describe('refuses', () => {
  test.each([
    ['a certificate', toPem('CERTIFICATE', der), 'bad-pem'],
    ['two requests', pem + pem, 'bad-pem'],
    ['PEM without its end', pem.replace(/-----END.*/s, ''), 'bad-pem'],
    ['base64 on several lines', base64.replace(/.{64}/g, '$&\n'), 'bad-base64'],
    [
      'base64 without its padding',
      `${base64.replace(/=+$/, '')}A`.slice(0, -1).replace(/.$/, ''),
      'bad-base64',
    ],
    ['base64url', 'MII-_w==', 'bad-base64'],
    ['words', 'a CSR', 'bad-base64'],
    ['too much text', 'A'.repeat(32 * 1024 + 4), 'bad-csr'],
    ['too much text in PEM', pem + ' '.repeat(32 * 1024), 'bad-csr'],
  ])('%s', (_title, text, code) => {
    expect(codeOf(() => parseCsrText(text))).toBe(code);
  });

  test('with the field named', () => {
    expect(() => parseCsrText('*')).toThrow(expect.objectContaining({ field: 'csr' }));
  });
});
