import { BirthmarkError } from '../../../core/errors.ts';
import { encodeOidContent } from '../../../x509/der/oid.ts';
import type { KeyDemand } from '../../key-demand.ts';
import type { GatePolicy, ListenerPolicy, Role } from '../../policy.ts';
import type { Template, Variable } from '../../variables.ts';
import { OctetWriter } from './octet-writer.ts';
import { readIssuers, type TrustedIssuer } from './trusted-issuers.ts';

/** Numbers of variables, as integrations/mosquitto/snapshot.h has them; 0 is a literal. */
const VARIABLE_NUMBERS = {
  id: 1,
  namespace: 2,
  clientId: 3,
  serialNumber: 4,
  commonName: 5,
  organization: 6,
  organizationalUnit: 7,
  country: 8,
  state: 9,
  locality: 10,
  'issuer.commonName': 11,
  'issuer.organization': 12,
  'issuer.organizationalUnit': 13,
  'certificate.serial': 14,
  'certificate.keyHash': 15,
} as const satisfies Partial<Record<Variable, number>>;

/** Bits of kinds of keys, as there. */
const KEY_BITS = { 'P-256': 1, 'P-384': 2, 'P-521': 4 } as const;
const ED25519_BIT = 8;
/** What our validation takes where nothing is demanded. */
const ANY_KEY: KeyDemand = {
  curves: ['P-256', 'P-384', 'P-521'],
  ed25519: true,
  minRsaBits: 2048,
  mlDsa: [],
};

const BINDS = { equal: 0, prefix: 1, any: 2 } as const;
const USAGES = { refused: 0, idevid: 1, accepted: 2 } as const;

/** A policy that Mosquitto's plugin can be told. */
export interface CompiledPolicy {
  readonly listener: ListenerPolicy;
  /** The CAs whose clients may be let in, with those above them. */
  readonly issuers: readonly TrustedIssuer[];
  /** Its octets in a snapshot, with only those CAs that are not taken back. */
  encode(isGood: (issuer: TrustedIssuer) => boolean): Buffer;
}

/**
 * Says a policy in the plugin's words.
 *
 * @param name the listener of the policy that this broker is
 * @param known CA certificates beside those of the policy's trust, DER; what leads to none of its anchors does not count
 * @throws BirthmarkError `config-invalid` naming the field that the plugin cannot express
 */
export function compilePolicy(
  policy: GatePolicy,
  name: string,
  known: readonly Uint8Array[] = [],
): CompiledPolicy {
  const listener = policy.listeners.get(name);
  if (!listener) throw invalid('listener', `the policy has no listener ${name}`);
  const roles = policy.roles.filter((role) => listener.roles?.includes(role.name) ?? true);
  const keys = classical(listener);
  const issuers = readIssuers(policy.trust, keys, known);
  const namespaces = policy.trust.map(({ namespace }) => namespace);
  const rolesOf = new Map(issuers.map((issuer) => [issuer, rolesUnder(issuer, roles, namespaces)]));
  const head = new OctetWriter()
    .number(variableNumber(policy.identity, 'identity'), 1)
    .number(USAGES[listener.withoutUsage], 1)
    .number(keyBits(keys), 1)
    .number(keys.minRsaBits, 2)
    .number(listener.maxSessionMs ?? 0, 8)
    .number(Math.round(listener.sessionJitter * 1000), 2)
    .list(roles, 2, writeRole)
    .finish();
  return {
    listener,
    issuers,
    encode: (isGood) =>
      new OctetWriter()
        .octets(head)
        .list(issuers.filter(isGood), 2, (issuer, to) =>
          writeIssuer(issuer, rolesOf.get(issuer) ?? NO_ROLES, to),
        )
        .finish(),
  };
}

/** The plugin is built against OpenSSL 3.0, which knows no ML-DSA: such CAs are left out, and their devices denied. */
function classical({ name, keys = ANY_KEY, preset }: ListenerPolicy): KeyDemand {
  if (keys.curves.length === 0)
    throw new BirthmarkError(
      'config-invalid',
      `listeners.${name}.preset: ${preset} takes ML-DSA certificates only, which Mosquitto's plugin cannot judge; use the broker of ` +
        'serve --broker, or another preset',
      { field: `listeners.${name}.preset` },
    );
  return { ...keys, mlDsa: [] };
}

function keyBits({ curves, ed25519 }: KeyDemand): number {
  return curves.reduce((bits, curve) => bits | KEY_BITS[curve], ed25519 ? ED25519_BIT : 0);
}

/** Numbers of roles, in the policy's order. */
interface IssuerRoles {
  readonly own: readonly number[];
  readonly guests: readonly { readonly namespace: string; readonly role: number }[];
}

const NO_ROLES: IssuerRoles = { own: [], guests: [] };

/** Guests have a role only where it names their namespace, or is for all that are trusted. */
function rolesUnder(
  { namespace, commonName, guests }: TrustedIssuer,
  roles: readonly Role[],
  trusted: readonly string[],
): IssuerRoles {
  const named = roles.flatMap(({ when }, role) => {
    if (when.issuers && !when.issuers.includes(commonName ?? '')) return [];
    return (when.namespaces ?? trusted).map((one) => ({ namespace: one, role }));
  });
  const own = new Set(named.filter((one) => one.namespace === namespace).map(({ role }) => role));
  return { own: [...own], guests: guests ? named.filter((one) => one.namespace !== namespace) : [] };
}

function writeIssuer(issuer: TrustedIssuer, { own, guests }: IssuerRoles, to: OctetWriter): void {
  to.text(issuer.name, 2)
    .text(issuer.spki, 2)
    .octets(Buffer.from(issuer.keyId, 'hex'))
    .text(issuer.namespace, 2)
    .number(issuer.from, 8)
    .number(issuer.until, 8)
    .list(own, 2, (role) => to.number(role, 2))
    .number(issuer.guests ? 1 : 0, 1)
    .list(issuer.guests?.ownUnits ?? [], 2, (unit) => to.text(unit, 2))
    .list(guests, 2, ({ namespace, role }) => to.text(namespace, 2).number(role, 2));
}

function writeRole(role: Role, to: OctetWriter): void {
  const { name, exclusive, clientId, when, topics } = role;
  const field = `roles.${name}`;
  const templates = (items: readonly Template[], what: string) =>
    to.list(items, 2, (template) => writeTemplate(template, `${field}.${what}`, to));
  to.text(name, 2)
    .number(exclusive ? 1 : 0, 1)
    .number(BINDS[clientId.bind], 1);
  to.text(clientId.bind === 'prefix' ? clientId.separator : '', 1);
  templates(clientId.bind === 'any' ? [] : clientId.to, 'clientId.to');
  to.list(when.policies ?? [], 2, (policy) => to.text(encodeOidContent(policy), 1));
  templates(topics.publish, 'publish');
  templates(topics.subscribe, 'subscribe');
  templates(topics.deny, 'deny');
}

const MAX_PIECES = 255;

function writeTemplate(template: Template, field: string, to: OctetWriter): void {
  if (template.length > MAX_PIECES)
    throw invalid(field, `one has more than ${MAX_PIECES} pieces, which Mosquitto's plugin does not take`);
  to.list(template, 1, (piece) => {
    if (typeof piece === 'string') to.number(0, 1).text(piece, 2);
    else to.number(variableNumber(piece.variable, field), 1);
  });
}

function variableNumber(variable: Variable, field: string): number {
  if (isKnown(variable)) return VARIABLE_NUMBERS[variable];
  const known = Object.keys(VARIABLE_NUMBERS).join(', ');
  throw invalid(field, `Mosquitto's plugin does not read ${variable} of a certificate; it reads ${known}`);
}

function isKnown(variable: Variable): variable is keyof typeof VARIABLE_NUMBERS {
  return variable in VARIABLE_NUMBERS;
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
