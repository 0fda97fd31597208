import { describe, expect, test } from 'vitest';
import { parsePem, parsePemBlocks, toPem } from '../../src/x509/pem.ts';
import { codeOf } from './code-of.ts';

const DER = Buffer.from('3003020101', 'hex');
const PEM = toPem('CERTIFICATE', DER);
const CSR = toPem('CERTIFICATE REQUEST', DER);

test('writes 64 columns and a line feed at the end (RFC 7468 §2)', () => {
  expect(toPem('X509 CRL', Buffer.alloc(50, 0xff))).toBe(
    `-----BEGIN X509 CRL-----\n${'/'.repeat(64)}\n//8=\n-----END X509 CRL-----\n`,
  );
});

describe('one block', () => {
  test.each<readonly [title: string, text: string, code: string]>([
    ['as it was written', PEM, 'accepted'],
    ['with CRLF', PEM.replaceAll('\n', '\r\n'), 'accepted'],
    ['with text around it', `subject=CN=a\n${PEM}issued by me\n`, 'accepted'],
    ['in lines of two characters', PEM.replace('MAMCAQE=', 'MA\nMC\nAQ\nE='), 'accepted'],
    ['with spaces at line ends', PEM.replaceAll('\n', ' \n'), 'accepted'],
    ['beside a block of another kind', `${CSR}${PEM}`, 'accepted'],
    ['with a block of another kind behind it', `${PEM}${CSR}`, 'accepted'],
    ['without its end', PEM.slice(0, -10), 'bad-pem'],
    ['with the end of another kind', PEM.replace('END CERTIFICATE', 'END CERTIFICATE REQUEST'), 'bad-pem'],
    ['without its beginning', PEM.slice(30), 'bad-pem'],
    ['with an unfinished beginning', PEM.replace('BEGIN CERTIFICATE-----', 'BEGIN CERTIFICATE'), 'bad-pem'],
    ['of another kind', CSR, 'bad-pem'],
    ['of a kind that starts the same', toPem('CERTIFICATE REQUEST', DER), 'bad-pem'],
    ['in small letters', PEM.toLowerCase(), 'bad-pem'],
    ['twice', PEM + PEM, 'bad-pem'],
    ['not at all', '', 'bad-pem'],
    ['with headers (RFC 1421)', PEM.replace('MAM', 'Proc-Type: 4,ENCRYPTED\n\nMAM'), 'bad-base64'],
    ['with its padding left out', PEM.replace('AQE=', 'AQE'), 'bad-base64'],
    ['with a stray character', PEM.replace('MAM', 'M*AM'), 'bad-base64'],
    ['with a block begun within', PEM.replace('MAM', '-----BEGIN CERTIFICATE-----\nMAM'), 'bad-base64'],
    ['with a vertical tab in it', PEM.replace('MAM', 'M\vAM'), 'bad-base64'],
  ])('takes or refuses it %s', (_title, text, code) => {
    expect(codeOf(() => parsePem(text, ['CERTIFICATE'], 'certificate'))).toBe(code);
  });

  test('gives the octets', () => {
    expect(parsePem(`text\n${PEM}`, ['CERTIFICATE'], 'certificate')).toEqual(DER);
  });

  test('takes either label of a CSR', () => {
    const old = CSR.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST');
    const labels = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'] as const;
    expect(parsePem(CSR, labels, 'csr')).toEqual(DER);
    expect(parsePem(old, labels, 'csr')).toEqual(DER);
  });

  test('names the field', () => {
    expect(() => parsePem('', ['CERTIFICATE REQUEST'], 'csr')).toThrow(/^csr holds no PEM block/);
  });
});

describe('a chain', () => {
  test('gives all blocks in their order', () => {
    const other = Buffer.from('3003020102', 'hex');
    const chain = `${PEM}\n${CSR}\n${toPem('CERTIFICATE', other)}`;
    expect(parsePemBlocks(chain, ['CERTIFICATE'], 'chain')).toEqual([DER, other]);
  });

  test('refuses one of which the last block has no end', () => {
    expect(codeOf(() => parsePemBlocks(PEM + PEM.slice(0, -10), ['CERTIFICATE'], 'chain'))).toBe('bad-pem');
  });

  test('reads ten thousand blocks without going back over them', () => {
    expect(parsePemBlocks(PEM.repeat(10_000), ['CERTIFICATE'], 'chain')).toHaveLength(10_000);
  });
});
