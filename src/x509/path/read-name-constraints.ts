import { asBuffer } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { rdnKeys } from '../compare-names.ts';
import type { DerReader } from '../der/reader.ts';
import { TAG } from '../der/tags.ts';
import { GENERAL_NAME, type GeneralName, readGeneralName, readOtherName } from '../general-name.ts';

/** macAddress otherName (RFC 10031). */
export const MAC_ADDRESS = '1.3.6.1.5.5.7.8.12';

/** The base of a subtree (RFC 5280 §4.2.1.10), ready to be compared with names of its form. */
export type Subtree =
  | { readonly form: 'dns' | 'email' | 'uri'; readonly text: string }
  | { readonly form: 'ip' | 'mac'; readonly value: Words; readonly mask: Words }
  | { readonly form: 'directory'; readonly rdns: readonly string[] }
  /** A form of which no one says how it is compared; `form` tells it from others. */
  | { readonly form: `unknown ${string}` };

/** Subtrees by their form. */
export type Subtrees = ReadonlyMap<Subtree['form'], readonly Subtree[]>;

export interface NameConstraints {
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
}

/** Octets in groups of four, which are compared faster. */
export interface Words {
  readonly octets: number;
  readonly words: readonly number[];
}

export function toWords(octets: Uint8Array): Words {
  const words: number[] = [];
  octets.forEach((octet, at) => {
    words[at >> 2] = ((words[at >> 2] ?? 0) << 8) | octet;
  });
  return { octets: octets.length, words };
}

/**
 * Reads nameConstraints.
 *
 * @throws BirthmarkError `bad-der`, also where it is empty, where minimum or maximum is there, and where a base is not
 * of the form that its type of name must have in a constraint
 */
export function readNameConstraints(reader: DerReader): NameConstraints {
  const what = 'nameConstraints';
  const fields = reader.sequence(what);
  if (fields.atEnd) throw new BirthmarkError('bad-der', `${what} is empty`);
  const permitted = readSubtrees(fields.enterOptional(TAG.contextConstructed, what), what);
  const excluded = readSubtrees(fields.enterOptional(TAG.contextConstructed | 1, what), what);
  fields.finish(what);
  return { permitted, excluded };
}

function readSubtrees(list: DerReader | undefined, what: string): Subtrees {
  const subtrees = new Map<Subtree['form'], Subtree[]>();
  if (!list) return subtrees;
  do {
    const fields = list.sequence(what);
    const subtree = readSubtree(readGeneralName(fields, what, 'subtree'), what);
    const before = subtrees.get(subtree.form);
    if (before) before.push(subtree);
    else subtrees.set(subtree.form, [subtree]);
    // RFC 5280 §4.2.1.10: minimum is zero, which DER leaves out, and maximum is absent.
    fields.finish(what);
  } while (!list.atEnd);
  return subtrees;
}

function readSubtree({ kind, content }: GeneralName, what: string): Subtree {
  const text = () => asBuffer(content).toString('latin1').toLowerCase();
  switch (kind) {
    case GENERAL_NAME.dns:
      return { form: 'dns', text: checked(text(), (base) => base === '' || isHost(base), what) };
    case GENERAL_NAME.email:
      return { form: 'email', text: checked(asBuffer(content).toString('latin1'), isEmailBase, what) };
    case GENERAL_NAME.uri:
      return { form: 'uri', text: checked(text(), isHostOrDomain, what) };
    case GENERAL_NAME.ip: {
      const half = content.length / 2;
      const mask = content.subarray(half);
      if (!isPrefix(mask))
        throw new BirthmarkError('bad-der', `${what} has a mask that is no prefix (RFC 4632)`);
      return { form: 'ip', value: toWords(content.subarray(0, half)), mask: toWords(mask) };
    }
    case GENERAL_NAME.directory:
      return { form: 'directory', rdns: rdnKeys(content) };
    case GENERAL_NAME.otherName:
      return readOtherSubtree(content, what);
    default:
      return { form: `unknown ${kind}` };
  }
}

/** RFC 10031: a MAC address constraint is value ‖ mask, 12 or 16 octets. */
function readOtherSubtree(content: Uint8Array, what: string): Subtree {
  const { typeId, value } = readOtherName(content, what);
  if (typeId !== MAC_ADDRESS) return { form: `unknown otherName ${typeId}` };
  const octets = value[0] === TAG.octetString ? value.subarray(2) : value.subarray(0, 0);
  if (octets.length !== 12 && octets.length !== 16)
    throw new BirthmarkError('bad-der', `${what} has a macAddress that is not value and mask (RFC 10031)`);
  const half = octets.length / 2;
  return { form: 'mac', value: toWords(octets.subarray(0, half)), mask: toWords(octets.subarray(half)) };
}

function checked(text: string, is: (text: string) => boolean, what: string): string {
  if (is(text)) return text;
  throw new BirthmarkError('bad-der', `${what} has a base that is not of its form: ${JSON.stringify(text)}`);
}

const HOST = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/** Labels of letters, digits, hyphens and, since many have them, underscores: no wildcard, no dot at either end. */
export function isHost(text: string): boolean {
  return text.length <= 253 && HOST.test(text);
}

/** RFC 5280 §4.2.1.10: a host, or a domain that starts with a period. */
function isHostOrDomain(text: string): boolean {
  return isHost(text.startsWith('.') ? text.slice(1) : text);
}

/** A mailbox, a host or a domain. */
function isEmailBase(text: string): boolean {
  const at = text.lastIndexOf('@');
  if (at === -1) return isHostOrDomain(text);
  return at > 0 && text.indexOf('@') === at && isHost(text.slice(at + 1));
}

function isPrefix(mask: Uint8Array): boolean {
  let ended = false;
  for (const octet of mask) {
    if (ended && octet !== 0) return false;
    if (octet === 0xff) continue;
    // Ones and then zeros: its complement is a power of two less one.
    const rest = 0xff - octet;
    if ((rest & (rest + 1)) !== 0) return false;
    ended = true;
  }
  return true;
}
