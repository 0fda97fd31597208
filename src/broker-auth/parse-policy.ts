import { toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isOid } from '../core/identifiers.ts';
import type { ClientIdRule } from './client-id.ts';
import { findCollision } from './client-id-collision.ts';
import type { GatePolicy, ListenerPolicy, Role, TrustedNamespace } from './policy.ts';
import type { ListenerConfig, PolicyConfig, RoleConfig } from './policy-config.ts';
import { PRESETS } from './presets.ts';
import { parseTopicFilter } from './topic-filter.ts';
import { namesVariable, parseTemplate, type Template } from './variables.ts';

const SECOND_MS = 1000;
const DEFAULT_JITTER = 0.2;
const DEFAULT_RESIGHT_SECONDS = 600;

/**
 * Holds the written rules to what a schema cannot say, and fills in what is not given.
 *
 * @param trust what the files of `config.trust` hold
 * @throws BirthmarkError `config-invalid`
 */
export function parsePolicy(config: PolicyConfig, trust: readonly TrustedNamespace[]): GatePolicy {
  refuseSharedAnchors(trust);
  const roles = config.roles.map((role, at) => parseRole(role, `roles.${at}`, trust));
  const names = new Set(roles.map(({ name }) => name));
  if (names.size < roles.length) throw invalid('roles', 'two roles have one name');
  refuseCollisions(roles, trust);
  const listeners = new Map<string, ListenerPolicy>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    const unknown = listener.roles?.find((role) => !names.has(role));
    if (unknown !== undefined) throw invalid(`listeners.${name}.roles`, `there is no role ${unknown}`);
    if (listener.evidence === 'name' && new Set(trust.map(({ namespace }) => namespace)).size > 1)
      throw invalid(
        `listeners.${name}.evidence`,
        'a name does not say of which namespace it is: trust one namespace only, or ask for the certificate',
      );
    listeners.set(name, parseListener(name, listener));
  }
  if (listeners.size === 0) throw invalid('listeners', 'name one listener at least');
  const { identity = 'serialNumber', resightSeconds = DEFAULT_RESIGHT_SECONDS } = config;
  return { trust, identity, roles, listeners, resightMs: resightSeconds * 1000 };
}

const EVIDENCE = ['none', 'name', 'certificate'] as const;
const STATUS = ['off', 'soft', 'hard'] as const;
const WITHOUT_USAGE = ['accepted', 'idevid', 'refused'] as const;
const WITHOUT_REVOCATION = ['accepted', 'refused'] as const;

function parseListener(name: string, config: ListenerConfig): ListenerPolicy {
  const { preset: presetName = 'transport', roles } = config;
  const field = `listeners.${name}`;
  const preset = PRESETS[presetName];
  const strict = <T extends string>(key: string, order: readonly T[], least: T, given: T | undefined): T => {
    if (given === undefined || order.indexOf(given) >= order.indexOf(least)) return given ?? least;
    throw invalid(
      `${field}.${key}`,
      `${given} is weaker than what preset ${presetName} asks for, which is ${least}`,
    );
  };
  const atMost = (key: string, most: number | undefined, seconds: number | undefined): number | undefined => {
    const given = seconds === undefined ? undefined : seconds * SECOND_MS;
    if (given === undefined || most === undefined || given <= most) return given ?? most;
    throw invalid(`${field}.${key}`, `preset ${presetName} allows ${most / SECOND_MS} at most`);
  };
  const shown = config.evidence ?? (preset.evidence === 'none' ? 'none' : 'certificate');
  const maxSessionMs = atMost('maxSessionSeconds', preset.maxSessionMs, config.maxSessionSeconds);
  return {
    name,
    preset: presetName,
    ...(preset.tls && { tls: preset.tls }),
    ...(preset.keys && { keys: preset.keys }),
    evidence: strict('evidence', EVIDENCE, preset.evidence, shown),
    status: strict('status', STATUS, preset.status, config.status),
    withoutUsage: strict(
      'withoutUsage',
      WITHOUT_USAGE,
      preset.withoutUsage,
      config.withoutUsage ?? 'refused',
    ),
    maxStatusAgeMs:
      atMost('maxStatusAgeSeconds', preset.maxStatusAgeMs, config.maxStatusAgeSeconds) ??
      preset.maxStatusAgeMs,
    listGraceMs: (config.listGraceSeconds ?? 0) * SECOND_MS,
    withoutRevocation: strict(
      'withoutRevocation',
      WITHOUT_REVOCATION,
      preset.withoutRevocation,
      config.withoutRevocation ?? 'refused',
    ),
    ...(config.maxListAgeSeconds !== undefined && { maxListAgeMs: config.maxListAgeSeconds * SECOND_MS }),
    sessionJitter: config.sessionJitter ?? DEFAULT_JITTER,
    ...(maxSessionMs !== undefined && { maxSessionMs }),
    ...(roles && { roles }),
  };
}

function parseRole(config: RoleConfig, field: string, trust: readonly TrustedNamespace[]): Role {
  const { name, namespaces, issuers, policies, publish = [], subscribe = [], deny = [] } = config;
  const unknown = namespaces?.find((one) =>
    trust.every(({ namespace, guests }) => namespace !== one && guests === undefined),
  );
  if (unknown !== undefined)
    throw invalid(`${field}.namespaces`, `nobody is trusted for namespace ${unknown}`);
  const odd = policies?.find((one) => !isOid(one));
  if (odd !== undefined) throw invalid(`${field}.policies`, `${odd} is no object identifier in dotted form`);
  const several = new Set(namespaces ?? trust.map(({ namespace }) => namespace)).size > 1;
  const allowing = { several, freeClientId: config.clientId?.bind === 'any' };
  return {
    name,
    when: { ...(namespaces && { namespaces }), ...(issuers && { issuers }), ...(policies && { policies }) },
    clientId: parseClientId(config, `${field}.clientId`, several),
    exclusive: config.clientId?.exclusive ?? true,
    topics: {
      publish: publish.map((text, at) => parseFilter(text, `${field}.publish.${at}`, allowing)),
      subscribe: subscribe.map((text, at) => parseFilter(text, `${field}.subscribe.${at}`, allowing)),
      deny: deny.map((text, at) =>
        parseFilter(text, `${field}.deny.${at}`, { several: false, freeClientId: false }),
      ),
    },
  };
}

function parseClientId({ clientId }: RoleConfig, field: string, several: boolean): ClientIdRule {
  const { bind = 'equal', to = ['${id}'], separator = '-' } = clientId ?? {};
  if (bind === 'any') return { bind };
  const templates = to.map((text, at) => {
    const template = parseTemplate(text, `${field}.to.${at}`);
    if (several) askForNamespace(template, `${field}.to.${at}`);
    if (template.every((piece) => typeof piece === 'string'))
      throw invalid(`${field}.to.${at}`, 'it has no variable, so every device would have the same ClientId');
    if (namesVariable(template, 'clientId'))
      throw invalid(`${field}.to.${at}`, 'a ClientId cannot be bound to itself');
    return template;
  });
  return bind === 'equal' ? { bind, to: templates } : { bind, to: templates, separator };
}

interface FilterRules {
  /** Devices of several namespaces may have the role. */
  readonly several: boolean;
  /** A client chooses its ClientId. */
  readonly freeClientId: boolean;
}

/** What a namespace gives to one of its devices only. */
const DEVICE_VARIABLES = ['id', 'serialNumber', 'commonName', 'san.hwSerialNum'] as const;

/** A filter must be one with any value in its variables: they stand for whole levels or parts of them. */
function parseFilter(text: string, field: string, { several, freeClientId }: FilterRules): Template {
  const template = parseTemplate(text, field);
  if (several && DEVICE_VARIABLES.some((one) => namesVariable(template, one)))
    askForNamespace(template, field);
  if (freeClientId && namesVariable(template, 'clientId'))
    throw invalid(
      field,
      'it names ${clientId}, and the role lets a client choose that: bind the ClientId, or name ${id}',
    );
  if (!parseTopicFilter(template.map((piece) => (typeof piece === 'string' ? piece : 'x')).join('')))
    throw invalid(field, `${text} is no topic filter (# only as the last level, + only as a whole level)`);
  return template;
}

function refuseCollisions(roles: readonly Role[], trust: readonly TrustedNamespace[]): void {
  const found = findCollision(
    roles,
    trust.map(({ namespace }) => namespace),
  );
  if (!found) return;
  const { one, other } = found;
  const name = (at: number) => roles[at]?.name ?? '';
  throw invalid(
    `roles.${other.at}.clientId`,
    `a device of namespace ${other.namespace} (role ${name(other.at)}) could have the ClientId of one of namespace ` +
      `${one.namespace} (role ${name(one.at)}), and with it what the broker keeps for that; let it name its namespace, with a ` +
      'separator that no value has: to = ["${namespace}/${id}"]',
  );
}

function refuseSharedAnchors(trust: readonly TrustedNamespace[]): void {
  const owners = new Map<string, string>();
  for (const { namespace, anchors } of trust) {
    for (const anchor of anchors) {
      const key = toHex(anchor);
      const owner = owners.get(key) ?? namespace;
      if (owner !== namespace)
        throw invalid('trust', `namespaces ${owner} and ${namespace} have one root in common`);
      owners.set(key, namespace);
    }
  }
}

function askForNamespace(template: Template, field: string): void {
  if (!namesVariable(template, 'namespace'))
    throw invalid(
      field,
      'two namespaces may have one id, so it must also name ${namespace}; or make a role a namespace (namespaces = […])',
    );
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
