import { BirthmarkError } from '../../core/errors.ts';
import type { DerReader } from '../der/reader.ts';
import { TAG } from '../der/tags.ts';

export const ANY_POLICY = '2.5.29.32.0';

/** CPS pointer and user notice (RFC 5280 §4.2.1.4). */
const KNOWN_QUALIFIERS: ReadonlySet<string> = new Set(['1.3.6.1.5.5.7.2.1', '1.3.6.1.5.5.7.2.2']);

/** A policy graph grows with the product of these and a path's length (RFC 9618 §1). */
const MAX_POLICIES = 128;

export interface CertificatePolicies {
  /** In their order, none twice. */
  readonly policies: readonly string[];
  readonly hasUnknownQualifier: boolean;
}

/**
 * Reads certificatePolicies (RFC 5280 §4.2.1.4).
 *
 * @throws BirthmarkError `bad-der`
 */
export function readPolicies(reader: DerReader, what: string): CertificatePolicies {
  const list = reader.sequence(what);
  const policies = new Set<string>();
  let hasUnknownQualifier = false;
  do {
    const fields = list.sequence(what);
    const policy = fields.oid(what);
    if (policies.has(policy) || policies.size === MAX_POLICIES)
      throw new BirthmarkError('bad-der', `${what} has a policy twice or more than ${MAX_POLICIES} of them`);
    policies.add(policy);
    const qualifiers = fields.enterOptional(TAG.sequence, what);
    fields.finish(what);
    if (!qualifiers) continue;
    do {
      const qualifier = qualifiers.sequence(what);
      if (!KNOWN_QUALIFIERS.has(qualifier.oid(what))) hasUnknownQualifier = true;
      qualifier.raw(what);
      qualifier.finish(what);
    } while (!qualifiers.atEnd);
  } while (!list.atEnd);
  return { policies: [...policies], hasUnknownQualifier };
}

/**
 * Reads policyMappings (RFC 5280 §4.2.1.5).
 *
 * @throws BirthmarkError `bad-der`, also for anyPolicy, which §6.1.4 (a) forbids in either place
 */
export function readPolicyMappings(reader: DerReader): readonly (readonly [string, string])[] {
  const what = 'policyMappings';
  const list = reader.sequence(what);
  const mappings: (readonly [string, string])[] = [];
  do {
    const fields = list.sequence(what);
    const pair = [fields.oid(what), fields.oid(what)] as const;
    fields.finish(what);
    if (pair.includes(ANY_POLICY) || mappings.length === MAX_POLICIES)
      throw new BirthmarkError('bad-der', `${what} maps anyPolicy or has more than ${MAX_POLICIES} pairs`);
    mappings.push(pair);
  } while (!list.atEnd);
  return mappings;
}

/**
 * Reads policyConstraints (RFC 5280 §4.2.1.11).
 *
 * @throws BirthmarkError `bad-der`, also where it is empty
 */
export function readPolicyConstraints(reader: DerReader): {
  readonly requireExplicitPolicy: number | undefined;
  readonly inhibitPolicyMapping: number | undefined;
} {
  const what = 'policyConstraints';
  const fields = reader.sequence(what);
  if (fields.atEnd) throw new BirthmarkError('bad-der', `${what} is empty`);
  const requireExplicitPolicy = readSkipCerts(fields, 0, what);
  const inhibitPolicyMapping = readSkipCerts(fields, 1, what);
  fields.finish(what);
  return { requireExplicitPolicy, inhibitPolicyMapping };
}

/** SkipCerts [number] IMPLICIT INTEGER (0..MAX). */
function readSkipCerts(fields: DerReader, number: number, what: string): number | undefined {
  const tag = TAG.context | number;
  if (fields.nextTag !== tag) return undefined;
  const content = fields.content(tag, what);
  const first = content[0] ?? 0x80;
  if (first >= 0x80 || content.length > 4 || (content.length > 1 && first === 0 && (content[1] ?? 0) < 0x80))
    throw new BirthmarkError(
      'bad-der',
      `${what} has a number that is negative, too large or not in shortest form`,
    );
  return content.reduce((value, octet) => value * 256 + octet, 0);
}
