import { asBuffer, toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { findExtension } from '../x509/certificate.ts';
import { DerReader } from '../x509/der/reader.ts';
import { TAG } from '../x509/der/tags.ts';
import { EXTENSION, HARDWARE_MODULE_NAME } from '../x509/extensions.ts';
import { GENERAL_NAME, parseGeneralNames, readOtherName } from '../x509/general-name.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import type { Credential } from './credential.ts';

/** What rules may name of a client. Each has one value or none: an attribute that is there twice has none. */
export const VARIABLES = [
  'id',
  'namespace',
  'clientId',
  'serialNumber',
  'commonName',
  'organization',
  'organizationalUnit',
  'country',
  'state',
  'locality',
  'issuer.commonName',
  'issuer.organization',
  'issuer.organizationalUnit',
  'san.uri',
  'san.dns',
  'san.email',
  'san.hwSerialNum',
  'certificate.serial',
  'certificate.keyHash',
] as const;

export type Variable = (typeof VARIABLES)[number];
export type Variables = ReadonlyMap<Variable, string>;

const ATTRIBUTES = {
  serialNumber: ATTRIBUTE_OIDS.serialNumber,
  commonName: ATTRIBUTE_OIDS.CN,
  organization: ATTRIBUTE_OIDS.O,
  organizationalUnit: ATTRIBUTE_OIDS.OU,
  country: ATTRIBUTE_OIDS.C,
  state: ATTRIBUTE_OIDS.ST,
  locality: ATTRIBUTE_OIDS.L,
} as const;

const NAMES = {
  'san.uri': GENERAL_NAME.uri,
  'san.dns': GENERAL_NAME.dns,
  'san.email': GENERAL_NAME.email,
} as const;

/** The variables that a certificate itself gives. */
export function variablesOf({ tbs, serial, keyHash, namespace }: Credential): Map<Variable, string> {
  const values = new Map<Variable, string>([
    ['certificate.serial', serial],
    ['certificate.keyHash', keyHash],
    ['namespace', namespace],
  ]);
  const set = (name: Variable, found: readonly string[]) => {
    const [only] = found;
    if (only !== undefined && found.length === 1) values.set(name, only);
  };
  const subject = parseName(tbs.subject).flat();
  const issuer = parseName(tbs.issuer).flat();
  const valuesOf = (from: typeof subject, oid: string) =>
    from.filter((one) => one.oid === oid).map(({ value }) => value);
  for (const name of keysOf(ATTRIBUTES)) set(name, valuesOf(subject, ATTRIBUTES[name]));
  set('issuer.commonName', valuesOf(issuer, ATTRIBUTE_OIDS.CN));
  set('issuer.organization', valuesOf(issuer, ATTRIBUTE_OIDS.O));
  set('issuer.organizationalUnit', valuesOf(issuer, ATTRIBUTE_OIDS.OU));
  const altName = findExtension(tbs, EXTENSION.subjectAltName);
  const names = altName ? parseGeneralNames(altName.value) : [];
  for (const name of keysOf(NAMES)) {
    const found = names.filter(({ kind }) => kind === NAMES[name]);
    set(
      name,
      found.map(({ content }) => asBuffer(content).toString('latin1')),
    );
  }
  const hardware = names.filter(({ kind }) => kind === GENERAL_NAME.otherName);
  set(
    'san.hwSerialNum',
    hardware.flatMap(({ content }) => hwSerialNum(content)),
  );
  return values;
}

/** hwSerialNum of a HardwareModuleName (RFC 4108 §5), hexadecimal. */
function hwSerialNum(otherName: Uint8Array): readonly string[] {
  const { typeId, value } = readOtherName(otherName, 'subjectAltName');
  if (typeId !== HARDWARE_MODULE_NAME) return [];
  const module = new DerReader(value).sequence('HardwareModuleName');
  module.raw('hwType');
  return [toHex(module.content(TAG.octetString, 'hwSerialNum'))];
}

function keysOf<K extends string>(record: Readonly<Record<K, unknown>>): readonly K[] {
  // Object.keys has no narrower type than string.
  return Object.keys(record) as K[];
}

/** A text with variables in it, in pieces. */
export type Template = readonly (string | { readonly variable: Variable })[];

const PLACE = /\$\{([^}]*)\}/;

/**
 * Reads a text with `${variable}` in it.
 *
 * @param field as the configuration names it
 * @throws BirthmarkError `config-invalid` for a variable that does not exist
 */
export function parseTemplate(text: string, field: string): Template {
  return text.split(PLACE).flatMap((piece, at): Template => {
    if (at % 2 === 0) {
      if (piece.includes('${'))
        throw new BirthmarkError('config-invalid', `${field} has a \${ without its }`, { field });
      return piece === '' ? [] : [piece];
    }
    const variable = VARIABLES.find((one) => one === piece);
    if (variable !== undefined) return [{ variable }];
    throw new BirthmarkError(
      'config-invalid',
      `${field} names \${${piece}}, which is no variable; there are ${VARIABLES.join(', ')}`,
      { field },
    );
  });
}

/** Whether the template names the variable. */
export function namesVariable(template: Template, variable: Variable): boolean {
  return template.some((piece) => typeof piece !== 'string' && piece.variable === variable);
}

export type Expanded = { readonly text: string } | { readonly fault: string };

/**
 * Puts values in. One that is absent, or could change what the text means to a broker (a separator or wildcard of topics,
 * a control character, a $), is a fault: whoever chose such a name is not to gain by it.
 *
 * @param without no value may have this in it
 */
export function expandTemplate(template: Template, values: Variables, without?: string): Expanded {
  let text = '';
  for (const piece of template) {
    if (typeof piece === 'string') {
      text += piece;
      continue;
    }
    const value = values.get(piece.variable);
    if (value === undefined) return { fault: `the certificate gives no single ${piece.variable}` };
    if (!isPlain(value) || /[/+#$]/.test(value))
      return {
        fault: `its ${piece.variable} is empty, too long, or has one of / + # $ or a control character`,
      };
    if (without !== undefined && value.includes(without))
      return { fault: `its ${piece.variable} has ${without} in it, which separates` };
    text += value;
  }
  return { text };
}

const MAX_VALUE_LENGTH = 256;

/** Whether a value is fit to be somebody's name at all: neither empty nor endless, and no control characters. */
export function isPlain(value: string): boolean {
  return value !== '' && value.length <= MAX_VALUE_LENGTH && !/\p{Cc}/u.test(value) && value.isWellFormed();
}
