import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import { type PolicyConfig, PolicyConfigSchema } from '../../src/broker-auth/policy-config.ts';
import { schemaParser } from '../../src/core/schema.ts';
import { codeOf } from '../x509/code-of.ts';
import { makeMaker, policyConfig } from './lab.ts';

const [own, acme] = [makeMaker('own').trust, makeMaker('acme').trust];
const [role = { name: 'device' }] = policyConfig().roles;
const withRole = (changes: Partial<PolicyConfig['roles'][number]>) =>
  policyConfig({ roles: [{ ...role, ...changes }] });
const code = (config: PolicyConfig, trust = [own]) => codeOf(() => parsePolicy(config, trust));

test('fills in what is not written', () => {
  const policy = parsePolicy(policyConfig(), [own]);
  expect(policy.identity).toBe('serialNumber');
  expect(policy.listeners.get('mqtt')).toMatchObject({
    evidence: 'certificate',
    status: 'hard',
    withoutUsage: 'refused',
    maxStatusAgeMs: 300_000,
    sessionJitter: 0.2,
  });
  expect(policy.roles[0]).toMatchObject({
    exclusive: true,
    clientId: { bind: 'equal', to: [[{ variable: 'id' }]] },
  });
});

describe('refuses', () => {
  test.each<[string, PolicyConfig]>([
    ['two roles of one name', policyConfig({ roles: [role, role] })],
    ['a listener with a role that is not there', policyConfig({}, { roles: ['nobody'] })],
    ['a policy without a listener', policyConfig({ listeners: {} })],
    ['a role for a namespace that nobody is trusted for', withRole({ namespaces: ['acme'] })],
    ['a certificate policy that is no object identifier', withRole({ policies: ['1.2.x'] })],
    ['a variable that does not exist', withRole({ publish: ['a/${serial}'] })],
    ['a variable that is not closed', withRole({ publish: ['a/${id'] })],
    ['a filter with # inside', withRole({ subscribe: ['#/${id}'] })],
    ['a filter with a variable beside a +', withRole({ subscribe: ['a/+${id}'] })],
    ['a ClientId that all devices would share', withRole({ clientId: { bind: 'equal', to: ['gateway'] } })],
    ['a ClientId that is bound to itself', withRole({ clientId: { bind: 'prefix', to: ['${clientId}'] } })],
    [
      'topics by a ClientId that clients choose',
      withRole({ clientId: { bind: 'any' }, publish: ['c/${clientId}'] }),
    ],
    ['less than its preset asks for', policyConfig({}, { preset: 'fips-140', status: 'soft' })],
  ])('%s', (_what, config) => {
    expect(code(config)).toBe('config-invalid');
    expect(code(policyConfig())).toBe('accepted');
  });

  test('one root in two namespaces', () => {
    expect(code(withRole({ namespaces: ['own'] }), [own, { ...own, namespace: 'acme' }])).toBe(
      'config-invalid',
    );
    expect(code(withRole({ namespaces: ['own'] }), [own, { ...own, namespace: 'own' }])).toBe('accepted');
  });

  test('a name as evidence where two namespaces are trusted', () => {
    const config = policyConfig({ roles: [{ ...role, namespaces: ['own'] }] }, { evidence: 'name' });
    expect(code(config, [own, acme])).toBe('config-invalid');
    expect(code(config, [own])).toBe('accepted');
  });
});

describe('where a role is for two namespaces', () => {
  test.each(['${id}', '${serialNumber}', '${commonName}'])(
    'topics by %s must name the namespace too',
    (variable) => {
      const rules = (filter: string) =>
        withRole({
          clientId: { bind: 'equal', to: ['${namespace}/${id}'] },
          publish: [filter],
          subscribe: [],
          namespaces: ['own', 'acme'],
        });
      expect(code(rules(`devices/${variable}/#`), [own, acme])).toBe('config-invalid');
      expect(code(rules(`devices/\${namespace}/${variable}/#`), [own, acme])).toBe('accepted');
    },
  );
  test('a ClientId must name the namespace too', () => {
    const rules = (to: string) =>
      withRole({ clientId: { bind: 'equal', to: [to] }, publish: [], subscribe: [] });
    expect(code(rules('${id}'), [own, acme])).toBe('config-invalid');
    expect(code(rules('${namespace}-${id}'), [own, acme])).toBe('accepted');
  });
});

describe('roles of two namespaces', () => {
  type ClientId = PolicyConfig['roles'][number]['clientId'];
  const equal = (...to: readonly string[]): NonNullable<ClientId> => ({ bind: 'equal', to: [...to] });
  const prefix = (to: string, separator: string): ClientId => ({ bind: 'prefix', to: [to], separator });
  const pair = (ours: ClientId, theirs: ClientId, namespace = 'acme') =>
    policyConfig({
      roles: [
        { name: 'ours', namespaces: ['own'], ...(ours && { clientId: ours }) },
        { name: 'theirs', namespaces: [namespace], ...(theirs && { clientId: theirs }) },
      ],
    });

  test.each<[string, ClientId, ClientId, ClientId]>([
    ['the default of both', undefined, undefined, equal('${namespace}/${id}')],
    ['a default, and any', undefined, { bind: 'any' }, equal('acme/${id}')],
    ['any, and a name of its own', { bind: 'any' }, equal('acme/${id}'), undefined],
    ['a separator that ids may have', undefined, equal('acme:${id}'), equal('acme/${id}')],
    [
      'one of several',
      undefined,
      equal('acme/${id}', '${commonName}'),
      equal('acme/${id}', 'b/${commonName}'),
    ],
    ['a prefix, and what may follow it', prefix('${id}', '-'), equal('own-${id}'), equal('acme/${id}')],
    [
      'other variables',
      equal('${serialNumber}'),
      equal('${certificate.serial}'),
      equal('c$${certificate.serial}'),
    ],
    ['one end, and another begin', equal('a-${id}-b'), equal('a-${id}'), equal('b-${id}')],
  ])('may not have one ClientId: %s', (_what, ours, theirs, apart) => {
    const refused = pair(ours, theirs);
    expect(() => parsePolicy(refused, [own, acme])).toThrow('could have the ClientId');
    const config = ours?.bind === 'any' ? pair(equal('${id}'), equal('acme/${id}')) : pair(ours, apart);
    expect(code(config, [own, acme])).toBe('accepted');
  });

  test('are told which field it is, and what to do', () => {
    expect(() => parsePolicy(pair(undefined, undefined), [own, acme])).toThrow(
      /^roles\.1\.clientId: a device of namespace acme \(role theirs\) could have the ClientId of one of namespace own \(role ours\).*to = \["\$\{namespace\}\/\$\{id\}"\]$/,
    );
  });
  test('of guests are no exception', () => {
    const host = { ...own, guests: { ownUnits: [] } };
    expect(code(pair(undefined, undefined, 'globex'), [host])).toBe('config-invalid');
    expect(code(pair(undefined, equal('globex/${id}'), 'globex'), [host])).toBe('accepted');
  });
  test('whose names begin alike need a separator that no name has', () => {
    const both = (to: string) =>
      policyConfig({ roles: [{ name: 'device', namespaces: ['own', 'acme'], clientId: equal(to) }] });
    const alike = [own, { ...acme, namespace: 'own-2' }];
    const named = (to: string) =>
      policyConfig({ roles: [{ name: 'device', namespaces: ['own', 'own-2'], clientId: equal(to) }] });
    expect(code(both('${namespace}-${id}'), [own, acme])).toBe('accepted');
    expect(code(named('${namespace}-${id}'), alike)).toBe('config-invalid');
    expect(code(named('${namespace}/${id}'), alike)).toBe('accepted');
  });
  test('may share one where both are of one namespace', () => {
    const roles = [
      { name: 'a', issuers: ['A'] },
      { name: 'b', issuers: ['B'] },
    ];
    expect(code(policyConfig({ roles }), [own])).toBe('accepted');
    expect(
      code(policyConfig({ roles: roles.map((one, at) => ({ ...one, namespaces: [at ? 'acme' : 'own'] })) }), [
        own,
        acme,
      ]),
    ).toBe('config-invalid');
  });
});

test('what is written may not have a key that nobody knows', () => {
  const parse = schemaParser(PolicyConfigSchema, 'config-invalid');
  expect(codeOf(() => parse({ ...policyConfig(), trust: [] }, ''))).toBe('config-invalid');
  expect(codeOf(() => parse({ ...policyConfig(), roles: [{ ...role, subscirbe: ['#'] }] }, ''))).toBe(
    'config-invalid',
  );
  expect(codeOf(() => parse(policyConfig(), ''))).toBe('accepted');
});
