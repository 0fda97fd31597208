import { asBuffer } from '../../core/bytes.ts';
import { rdnKeys } from '../compare-names.ts';
import { TAG } from '../der/tags.ts';
import { GENERAL_NAME, type GeneralName, readOtherName } from '../general-name.ts';
import { parseName } from '../name.ts';
import type { Budget } from './limits.ts';
import {
  isHost,
  MAC_ADDRESS,
  type NameConstraints,
  type Subtree,
  toWords,
  type Words,
} from './read-name-constraints.ts';

type Form = Subtree['form'];

/** Names of a certificate by the form of constraint that speaks of them. */
export type ConstrainedNames = ReadonlyMap<Form, readonly Name[]>;

interface Name {
  /** Lower case where case says nothing; undefined where the name is not of its form and no subtree can hold it. */
  readonly text?: string;
  readonly octets?: Words;
  readonly rdns?: readonly string[];
  /** For people. */
  readonly shown: string;
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

/** The subject (RFC 5280 §4.2.1.10: unless it is empty), its mail addresses where the SAN has none, and the SAN. */
export function readConstrainedNames(
  subject: Uint8Array,
  alternatives: readonly GeneralName[],
): ConstrainedNames {
  const names = new Map<Form, Name[]>();
  const add = (form: Form, name: Name) => {
    const before = names.get(form);
    if (before) before.push(name);
    else names.set(form, [name]);
  };
  const rdns = rdnKeys(subject);
  if (rdns.length > 0) add('directory', { rdns, shown: 'its subject' });
  for (const alternative of alternatives) add(...readAlternative(alternative));
  if (!names.has('email')) {
    for (const { oid, value } of parseName(subject).flat())
      if (oid === EMAIL_ADDRESS) add('email', emailName(value));
  }
  return names;
}

function readAlternative({ kind, content }: GeneralName): readonly [Form, Name] {
  const shown = asBuffer(content).toString('latin1');
  switch (kind) {
    case GENERAL_NAME.dns: {
      const text = shown.toLowerCase();
      const host = text.startsWith('*.') ? text.slice(2) : text;
      return ['dns', isHost(host) ? { text, shown } : { shown }];
    }
    case GENERAL_NAME.email:
      return ['email', emailName(shown)];
    case GENERAL_NAME.uri: {
      const host = uriHost(shown);
      return ['uri', host === undefined ? { shown } : { text: host, shown }];
    }
    case GENERAL_NAME.ip:
      return [
        'ip',
        {
          octets: toWords(content),
          shown: `IP address ${asBuffer(content).toString('hex')}`,
        },
      ];
    case GENERAL_NAME.directory:
      return ['directory', { rdns: rdnKeys(content), shown: 'a directoryName' }];
    case GENERAL_NAME.otherName: {
      const { typeId, value } = readOtherName(content, 'otherName');
      const other = { shown: `otherName ${typeId}` };
      if (typeId !== MAC_ADDRESS) return [`unknown otherName ${typeId}`, other];
      return ['mac', value[0] === TAG.octetString ? { octets: toWords(value.subarray(2)), ...other } : other];
    }
    default:
      return [`unknown ${kind}`, { shown: `a name of kind ${kind}` }];
  }
}

/** RFC 5280 §4.2.1.6, §7.5: the local part as it is, the host without regard to case. */
function emailName(shown: string): Name {
  const at = shown.lastIndexOf('@');
  const host = shown.slice(at + 1).toLowerCase();
  return at > 0 && shown.indexOf('@') === at && isHost(host)
    ? { text: `${shown.slice(0, at)}@${host}`, shown }
    : { shown };
}

/** RFC 5280 §4.2.1.10: the host of the authority, which must be a domain name and no address. */
function uriHost(uri: string): string | undefined {
  const [, host] =
    /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@:[\]]+)(?::[0-9]*)?(?:[/?#]|$)/i.exec(uri) ?? [];
  if (host === undefined || !isHost(host) || /(?:^|\.)[0-9]+$/.test(host)) return undefined;
  return host.toLowerCase();
}

/**
 * Why the names break the constraints of one CA above them, if they do (RFC 5280 §6.1.3 (b), (c)). A name of a form that
 * is constrained and that we cannot compare breaks them.
 */
export function constraintBreach(
  names: ConstrainedNames,
  { permitted, excluded }: NameConstraints,
  budget: Budget,
): string | undefined {
  for (const [form, list] of names) {
    const allowed = permitted.get(form) ?? [];
    const forbidden = excluded.get(form) ?? [];
    if (allowed.length === 0 && forbidden.length === 0) continue;
    if (!budget.nameComparisons(list.length * (comparisonCost(allowed) + comparisonCost(forbidden))))
      return 'it has more names than can be held against the name constraints';
    const isForbidden = holder(forbidden, true);
    const isAllowed = holder(allowed, false);
    for (const name of list) {
      if (form.startsWith('unknown')) return `${name.shown} is constrained in a way that is not known`;
      if (isForbidden(name)) return `${name.shown} is excluded`;
      if (allowed.length > 0 && !isAllowed(name)) return `${name.shown} is not permitted`;
    }
  }
  return undefined;
}

/** Directory names are read an RDN at a time. */
function comparisonCost(subtrees: readonly Subtree[]): number {
  return subtrees.reduce(
    (sum, one) => sum + (one.form === 'directory' ? Math.max(1, one.rdns.length) : 1),
    0,
  );
}

/** Whether a name lies in one of the subtrees, which are all of one form. */
function holder(subtrees: readonly Subtree[], unsure: boolean): (name: Name) => boolean {
  const bases = subtrees.flatMap((subtree) => (subtree.form === 'directory' ? [subtree.rdns] : []));
  if (bases.length === 0) return (name) => subtrees.some((subtree) => isWithin(name, subtree, unsure));
  // Each directory name is looked up once for each length that a base has.
  const keys = new Set(bases.map((rdns) => rdns.join('')));
  const lengths = [...new Set(bases.map(({ length }) => length))];
  return ({ rdns = [] }) =>
    lengths.some((length) => length <= rdns.length && keys.has(rdns.slice(0, length).join('')));
}

/** @param unsure what to say of a name that is not of its form */
function isWithin({ text, octets }: Name, subtree: Subtree, unsure: boolean): boolean {
  switch (subtree.form) {
    case 'dns':
      return text === undefined ? unsure : isDnsWithin(text, subtree.text, unsure);
    case 'email':
      return text === undefined ? unsure : isEmailWithin(text, subtree.text);
    case 'uri':
      return text === undefined ? unsure : isHostWithin(text, subtree.text);
    case 'ip':
    case 'mac':
      return octets === undefined ? unsure : isMasked(octets, subtree.value, subtree.mask);
    default:
      return unsure;
  }
}

/**
 * The base or anything with labels in front of it. A wildcard stands for every name that it could match: it lies in an
 * excluded subtree as soon as one of them does.
 */
function isDnsWithin(name: string, base: string, excluding: boolean): boolean {
  if (base === '' || name === base || endsInLabels(name, base)) return true;
  if (!excluding || !name.startsWith('*.')) return false;
  const parent = name.slice(2);
  return endsInLabels(base, parent) && !base.slice(0, -parent.length - 1).includes('.');
}

function endsInLabels(name: string, base: string): boolean {
  return (
    name.length > base.length &&
    name.charCodeAt(name.length - base.length - 1) === 0x2e &&
    name.endsWith(base)
  );
}

/** RFC 5280 §4.2.1.10: a mailbox, all mailboxes of a host, or of the hosts within a domain that starts with a period. */
function isEmailWithin(name: string, base: string): boolean {
  const at = base.lastIndexOf('@');
  if (at !== -1) return name === base.slice(0, at + 1) + base.slice(at + 1).toLowerCase();
  return isHostWithin(name.slice(name.lastIndexOf('@') + 1), base.toLowerCase());
}

/** One host, or the hosts within a domain that starts with a period, that domain itself left out. */
function isHostWithin(host: string, base: string): boolean {
  return base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base;
}

/** Octets under a mask; addresses of another length lie in no subtree. */
function isMasked({ octets, words }: Words, value: Words, mask: Words): boolean {
  if (octets !== value.octets) return false;
  for (let at = 0; at < words.length; at += 1)
    if (((words[at] ?? 0) ^ (value.words[at] ?? 0)) & (mask.words[at] ?? 0)) return false;
  return true;
}
