import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseCsr } from '../../src/x509/csr.ts';
import { type Der, encode, sequence, setOf } from '../../src/x509/der/encode.ts';
import { ia5String, oid, printableString, utf8String } from '../../src/x509/der/values.ts';
import { asksForKeyEncryption, readEstAttributes } from '../../src/x509/est-attributes.ts';
import { keyUsage } from '../../src/x509/extensions.ts';
import { encodeName } from '../../src/x509/name.ts';
import { codeOf } from './code-of.ts';
import { sampleCsr, sampleKey } from './samples.ts';
import { hex, tlv } from './tlv.ts';

const key = sampleKey('P-256');
const CHALLENGE = '1.2.840.113549.1.9.7';
const CHANGE = '1.3.6.1.5.5.7.7.36';
const attribute = (type: string, ...values: readonly Der[]) => encode(sequence(oid(type), setOf(...values)));
const csrWith = (...attributes: readonly Der[]) => parseCsr(sampleCsr(key, { attributes }));
const read = (...attributes: readonly Der[]) => readEstAttributes(csrWith(...attributes));
const code = (...attributes: readonly Der[]) => codeOf(() => read(...attributes));
const binding = 'q83vASNFZ4mrze8B';
const name = encodeName([{ type: 'CN', value: 'new' }]);
const names = tlv(0x30, tlv(0x82, Buffer.from('new.example')));

test('a CSR without such attributes has none', () => {
  expect(read()).toEqual({});
  expect(read(attribute('1.2.840.113549.1.9.14', sequence(keyUsage(['digitalSignature']))))).toEqual({});
});

describe('challengePassword', () => {
  test.each([
    ['PrintableString', printableString(binding)],
    ['UTF8String', utf8String(binding)],
    ['IA5String', ia5String(binding)],
    ['TeletexString', tlv(0x14, Buffer.from(binding))],
    ['BMPString', tlv(0x1e, Buffer.from(binding, 'utf16le').swap16())],
  ])('is read from a %s', (_type, value) => {
    expect(read(attribute('1.2.3.4', utf8String('x')), attribute(CHALLENGE, value))).toEqual({
      challengePassword: binding,
    });
  });

  test('is read where it has 255 characters', () => {
    expect(read(attribute(CHALLENGE, utf8String('a'.repeat(255)))).challengePassword).toHaveLength(255);
  });

  test.each([
    ['256 characters', [utf8String('a'.repeat(256))]],
    ['none', [utf8String('')]],
    ['no value', []],
    ['two values', [utf8String('a'), utf8String('b')]],
    ['a type that is no string', [tlv(0x04, Buffer.from(binding))]],
    ['a character that is not ASCII', [utf8String('é')]],
    ['a control character', [utf8String('a\n')]],
  ])('is refused with %s', (_what, values) => {
    expect(code(attribute(CHALLENGE, ...values))).toBe('bad-csr');
  });
});

test('the challengePassword that OpenSSL writes is read', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-openssl-'));
  try {
    const config =
      '[req]\nprompt = no\ndistinguished_name = name\nattributes = attributes\n[name]\nCN = d\n' +
      `[attributes]\nchallengePassword = ${binding}+/==\n`;
    writeFileSync(path.join(folder, 'req.cnf'), config);
    const words = 'req -new -config req.cnf -outform DER -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
    const { stdout } = spawnSync('openssl', [...words.split(' '), '-keyout', 'key.pem'], { cwd: folder });
    expect(readEstAttributes(parseCsr(stdout))).toEqual({ challengePassword: `${binding}+/==` });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('changeSubjectName', () => {
  test.each([
    ['a subject', [name], { subject: name }],
    ['an empty subject', [hex('30 00')], { subject: hex('30 00') }],
    ['a SAN', [names], { subjectAlt: [{ kind: 2, content: Buffer.from('new.example') }] }],
    [
      'both',
      [name, names],
      { subject: name, subjectAlt: [{ kind: 2, content: Buffer.from('new.example') }] },
    ],
  ])('with %s is read', (_what, members, expected) => {
    expect(read(attribute(CHANGE, tlv(0x30, ...members))).changeSubjectName).toMatchObject(expected);
  });

  test.each([
    ['nothing', [], 'bad-csr'],
    ['two subjects', [name, name], 'bad-csr'],
    ['two SANs', [names, names], 'bad-der'],
    ['the SAN first', [names, name], 'bad-der'],
    ['something else', [hex('05 00')], 'bad-der'],
    ['a SAN that is none', [tlv(0x30, tlv(0x89))], 'bad-der'],
  ])('with %s is refused', (_what, members, expected) => {
    expect(code(attribute(CHANGE, tlv(0x30, ...members)))).toBe(expected);
  });
});

describe('a key that the server makes', () => {
  test.each([
    ['DecryptKeyIdentifier', '1.2.840.113549.1.9.16.2.37'],
    ['asymmDecryptKeyID', '1.2.840.113549.1.9.16.2.54'],
  ])('must be encrypted where the CSR has a %s', (_name, type) => {
    expect(asksForKeyEncryption(csrWith(attribute(type, tlv(0x04, hex('01')))))).toBe(true);
  });

  test('may be plain where it has neither', () => {
    expect(asksForKeyEncryption(csrWith(attribute(CHALLENGE, utf8String(binding))))).toBe(false);
  });
});
