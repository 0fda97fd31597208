import { BirthmarkError } from '../core/errors.ts';
import { isOid } from '../core/identifiers.ts';
import type { ClientIdRule } from './client-id.ts';
import type { GatePolicy, ListenerPolicy, Role, TrustedNamespace } from './policy.ts';
import type { ListenerConfig, PolicyConfig, RoleConfig } from './policy-config.ts';
import { parseTopicFilter } from './topic-filter.ts';
import { namesVariable, parseTemplate, type Template } from './variables.ts';

const SECOND_MS = 1000;
const DEFAULT_STATUS_AGE_SECONDS = 300;
const DEFAULT_JITTER = 0.2;

/**
 * Holds the written rules to what a schema cannot say, and fills in what is not given.
 *
 * @param trust what the files of `config.trust` hold
 * @throws BirthmarkError `config-invalid`
 */
export function parsePolicy(config: PolicyConfig, trust: readonly TrustedNamespace[]): GatePolicy {
  const roles = config.roles.map((role, at) => parseRole(role, `roles.${at}`, trust));
  const names = new Set(roles.map(({ name }) => name));
  if (names.size < roles.length) throw invalid('roles', 'two roles have one name');
  const listeners = new Map<string, ListenerPolicy>();
  for (const [name, listener] of Object.entries(config.listeners)) {
    const unknown = listener.roles?.find((role) => !names.has(role));
    if (unknown !== undefined) throw invalid(`listeners.${name}.roles`, `there is no role ${unknown}`);
    if (listener.evidence === 'name' && trust.length > 1)
      throw invalid(
        `listeners.${name}.evidence`,
        'a name does not say of which namespace it is: trust one namespace only, or ask for the certificate',
      );
    listeners.set(name, parseListener(name, listener));
  }
  if (listeners.size === 0) throw invalid('listeners', 'name one listener at least');
  return { trust, identity: config.identity ?? 'serialNumber', roles, listeners };
}

function parseListener(name: string, config: ListenerConfig): ListenerPolicy {
  const {
    evidence = 'certificate',
    status = 'hard',
    withoutUsage = 'refused',
    maxSessionSeconds,
    roles,
  } = config;
  return {
    name,
    evidence,
    status,
    withoutUsage,
    maxStatusAgeMs: (config.maxStatusAgeSeconds ?? DEFAULT_STATUS_AGE_SECONDS) * SECOND_MS,
    sessionJitter: config.sessionJitter ?? DEFAULT_JITTER,
    ...(maxSessionSeconds !== undefined && { maxSessionMs: maxSessionSeconds * SECOND_MS }),
    ...(roles && { roles }),
  };
}

function parseRole(config: RoleConfig, field: string, trust: readonly TrustedNamespace[]): Role {
  const { name, namespaces, issuers, policies, publish = [], subscribe = [], deny = [] } = config;
  const unknown = namespaces?.find((one) => trust.every(({ namespace }) => namespace !== one));
  if (unknown !== undefined)
    throw invalid(`${field}.namespaces`, `nobody is trusted for namespace ${unknown}`);
  const odd = policies?.find((one) => !isOid(one));
  if (odd !== undefined) throw invalid(`${field}.policies`, `${odd} is no object identifier in dotted form`);
  const several = (namespaces ?? trust).length > 1;
  return {
    name,
    when: { ...(namespaces && { namespaces }), ...(issuers && { issuers }), ...(policies && { policies }) },
    clientId: parseClientId(config, `${field}.clientId`, several),
    exclusive: config.clientId?.exclusive ?? true,
    topics: {
      publish: publish.map((text, at) => parseFilter(text, `${field}.publish.${at}`, several)),
      subscribe: subscribe.map((text, at) => parseFilter(text, `${field}.subscribe.${at}`, several)),
      deny: deny.map((text, at) => parseFilter(text, `${field}.deny.${at}`, false)),
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

/** A filter must be one with any value in its variables: they stand for whole levels or parts of them. */
function parseFilter(text: string, field: string, several: boolean): Template {
  const template = parseTemplate(text, field);
  if (several && namesVariable(template, 'id')) askForNamespace(template, field);
  if (!parseTopicFilter(template.map((piece) => (typeof piece === 'string' ? piece : 'x')).join('')))
    throw invalid(field, `${text} is no topic filter (# only as the last level, + only as a whole level)`);
  return template;
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
