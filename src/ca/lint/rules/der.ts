import { ALL_KINDS, type LintRule } from '../rule.ts';
import { rfc5280, x690 } from '../sources.ts';
import type { DerFaultCode, DerFaults } from '../view/der-faults.ts';

/** The parts of X.690 that octets can break, each a rule of its own; they cover the values of known extensions too. */
const FORMS: readonly (readonly [DerFaultCode, string, string])[] = [
  ['der.length', '10.1', 'Every length is definite, as short as it can be, and fits what holds the value.'],
  ['der.tag', '8.1.2', 'Every tag is one that certificates use: a universal type or a number below 31.'],
  ['der.trailing', '8.1.1', 'Nothing follows a value inside what holds exactly one.'],
  ['der.nesting', '8.1', 'Values are nested at most 32 deep.'],
  [
    'der.form',
    '10.2',
    'Simple types are not cut into pieces, and SEQUENCE and SET are not marked as simple.',
  ],
  ['der.default', '11.5', 'A value that is the default (critical FALSE, cA FALSE, version v1) is left out.'],
  ['der.boolean', '11.1', 'A BOOLEAN is 00 or ff.'],
  ['der.integer', '8.3.2', 'An INTEGER is as short as it can be.'],
  ['der.bit-string', '11.2.1', 'The unused bits of a BIT STRING are zero.'],
  ['der.null', '8.8.2', 'A NULL has no content.'],
  ['der.oid', '8.19.2', 'An OBJECT IDENTIFIER is complete and its arcs have no leading zeros.'],
  ['der.string', '8.23', 'A string holds only characters of its type.'],
  ['der.set-order', '11.6', 'The elements of a SET OF are in ascending order of their encodings.'],
];

/** Asks for nothing but the faults, so that octets which are no certificate can be judged by it too. */
export interface DerRule extends LintRule {
  readonly check: (read: { readonly faults: DerFaults }) => string | undefined;
}

export const derRules: readonly DerRule[] = FORMS.map(([id, section, what]) => ({
  id,
  severity: 'error',
  kinds: ALL_KINDS,
  source: x690(section),
  what,
  check: ({ faults }) => faults[id],
}));

/** Told in place of all rules on fields, where the octets have none: whatever has a view passes it. */
export const STRUCTURE_RULE: LintRule = {
  id: 'certificate.structure',
  severity: 'error',
  kinds: ALL_KINDS,
  source: rfc5280('4.1'),
  what: 'The octets are a Certificate or tbsCertificate, with its fields in their order.',
  check: () => undefined,
};
