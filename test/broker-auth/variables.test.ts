import { describe, expect, test } from 'vitest';
import { readCredential } from '../../src/broker-auth/credential.ts';
import {
  expandTemplate,
  namesVariable,
  parseTemplate,
  type Variable,
  variablesOf,
} from '../../src/broker-auth/variables.ts';
import * as extensions from '../../src/x509/extensions.ts';
import { type Attribute, encodeName } from '../../src/x509/name.ts';
import { codeOf } from '../x509/code-of.ts';
import { makeAuthority, makeCertificate, type Traits } from '../x509/path/make-certificate.ts';

const root = makeAuthority({ cn: 'root' });
const issuer = makeAuthority({
  issuer: root,
  fields: {
    subject: encodeName([
      { type: 'O', value: 'Maker' },
      { type: 'CN', value: 'CA' },
    ]),
  },
});

function variables(traits: Traits) {
  const leaf = makeCertificate({ issuer, ...traits });
  const path = [leaf.der, issuer.der, root.der];
  return variablesOf(readCredential(path, 'own'));
}

function named(...subject: readonly Attribute[]): Traits {
  return { fields: { subject: encodeName(subject) } };
}

describe('what a certificate gives', () => {
  test('gives subject, issuer, alternative names and its own numbers', () => {
    const altName = extensions.subjectAltName([
      { kind: 'dns', name: 'dev1.lab.example' },
      {
        kind: 'hardwareModule',
        hwType: '1.3.6.1.4.1.99999.1',
        hwSerialNum: Buffer.from('\x00\x2b\xff', 'latin1'),
      },
    ]);
    const values = variables({
      ...named(
        { type: 'O', value: 'Lab' },
        { type: 'serialNumber', value: 'SN-1' },
        { type: 'CN', value: 'one' },
      ),
      extra: [altName],
    });
    expect(Object.fromEntries(values)).toMatchObject({
      namespace: 'own',
      serialNumber: 'SN-1',
      commonName: 'one',
      organization: 'Lab',
      'issuer.commonName': 'CA',
      'issuer.organization': 'Maker',
      'san.dns': 'dev1.lab.example',
      'san.hwSerialNum': '002bff',
      'certificate.serial': expect.stringMatching(/^01[0-9a-f]{4}$/),
      'certificate.keyHash': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(values.has('organizationalUnit')).toBe(false);
  });

  test('gives nothing for an attribute that is there twice', () => {
    const values = variables(
      named({ type: 'serialNumber', value: 'SN-1' }, { type: 'CN', value: 'a' }, { type: 'CN', value: 'b' }),
    );
    expect(values.get('serialNumber')).toBe('SN-1');
    expect(values.has('commonName')).toBe(false);
  });
});

describe('a template', () => {
  const values = (id: string) => new Map<Variable, string>([['id', id]]);
  const template = parseTemplate('devices/${id}/up', 'publish');

  test('is filled with what is there', () => {
    expect(expandTemplate(template, values('SN-1.2:3'))).toEqual({ text: 'devices/SN-1.2:3/up' });
    expect(namesVariable(template, 'id')).toBe(true);
    expect(namesVariable(template, 'namespace')).toBe(false);
  });

  test.each([
    '',
    '+',
    '#',
    'a/b',
    '../x/#',
    '$SYS',
    'a$',
    'nul\0',
    'line\nbreak',
    '\u0085',
    'lone\ud800',
    'x'.repeat(257),
  ])('is not filled with %j', (hostile) => {
    expect(expandTemplate(template, values(hostile))).toHaveProperty('fault');
  });

  test('is not filled where the value is absent', () => {
    expect(expandTemplate(template, new Map())).toHaveProperty('fault');
  });

  test('does not read a value as a template', () => {
    const two = new Map<Variable, string>([
      ['id', '{id}'],
      ['commonName', 'x'],
    ]);
    expect(expandTemplate(template, two)).toEqual({ text: 'devices/{id}/up' });
  });

  test.each(['${serial}', 'a/${}', '${ID}', '${__proto__}', 'devices/${id/#', '${id}${'])(
    'is refused as %s, at start',
    (text) => {
      expect(codeOf(() => parseTemplate(text, 'publish'))).toBe('config-invalid');
    },
  );
});
