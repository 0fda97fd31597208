import type { Role } from './policy.ts';
import type { Template } from './variables.ts';

/** Two roles, the same one maybe, by which devices of two namespaces may come to have one ClientId. */
export interface Collision {
  readonly one: { readonly at: number; readonly namespace: string };
  readonly other: { readonly at: number; readonly namespace: string };
}

/**
 * Looks for ClientIds that devices of two namespaces may both have: a broker has one session of a ClientId (MQTT 5 §3.1.4), with all
 * that waits for it, and two makers may use one serial number.
 *
 * @param namespaces of roles that name none
 */
export function findCollision(roles: readonly Role[], namespaces: readonly string[]): Collision | undefined {
  const all = roles.flatMap((role, at) =>
    [...new Set(role.when.namespaces ?? namespaces)].flatMap((namespace) =>
      patternsOf(role, namespace).map((pattern) => ({ at, namespace, pattern })),
    ),
  );
  for (const [index, one] of all.entries())
    for (const other of all.slice(index + 1))
      if (one.namespace !== other.namespace && haveOneInCommon(one.pattern, other.pattern))
        return { one, other };
  return undefined;
}

/** What stands at one place of a ClientId: a character, one that a value may have, or so many of those, or of any, as there are. */
type Token = string | { readonly not: string; readonly many: boolean };
type Pattern = readonly Token[];

/** No value of a variable has one of these: see `expandTemplate`. */
const NEVER_IN_VALUES = '/+#$';
const ANYTHING: Pattern = [{ not: '', many: true }];

function patternsOf({ clientId: rule }: Role, namespace: string): readonly Pattern[] {
  if (rule.bind === 'any') return [ANYTHING];
  const not = NEVER_IN_VALUES + (rule.bind === 'prefix' && rule.separator.length === 1 ? rule.separator : '');
  return rule.to.flatMap((template) => {
    const pattern = toPattern(template, namespace, not);
    return rule.bind === 'equal' ? [pattern] : [pattern, [...pattern, ...rule.separator, ...ANYTHING]];
  });
}

function toPattern(template: Template, namespace: string, not: string): Pattern {
  return template.flatMap((piece): Pattern => {
    if (typeof piece === 'string') return [...piece];
    if (piece.variable === 'namespace') return [...namespace];
    return [
      { not, many: false },
      { not, many: true },
    ];
  });
}

/** Whether one text fits both: goes through all pairs of places in them at which such a text can be. */
function haveOneInCommon(one: Pattern, other: Pattern): boolean {
  const width = other.length + 1;
  const seen = new Set<number>([0]);
  const waiting = [0];
  const visit = (i: number, j: number) => {
    const place = i * width + j;
    if (i > one.length || j > other.length || seen.has(place)) return;
    seen.add(place);
    waiting.push(place);
  };
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const [i, j] = [Math.floor(place / width), place % width];
    const [a, b] = [one[i], other[j]];
    if (a === undefined && b === undefined) return true;
    if (isMany(a)) visit(i + 1, j);
    if (isMany(b)) visit(i, j + 1);
    if (a !== undefined && b !== undefined && agree(a, b))
      visit(isMany(a) ? i : i + 1, isMany(b) ? j : j + 1);
  }
  return false;
}

function isMany(token: Token | undefined): boolean {
  return typeof token === 'object' && token.many;
}

function agree(a: Token, b: Token): boolean {
  if (typeof a === 'string') return typeof b === 'string' ? a === b : !b.not.includes(a);
  return typeof b === 'string' ? !a.not.includes(b) : true;
}
