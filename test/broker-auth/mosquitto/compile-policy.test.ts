import { describe, expect, test } from 'vitest';
import { compilePolicy } from '../../../src/broker-auth/adapters/mosquitto/compile-policy.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { RoleConfig } from '../../../src/broker-auth/policy-config.ts';
import { EXTENDED_KEY_USAGE } from '../../../src/x509/extensions.ts';
import { makeAuthority } from '../../x509/path/make-certificate.ts';
import { makeAuthorities, makePolicy, ROLE } from './party.ts';

describe("a policy in the words of Mosquitto's plugin", () => {
  const authorities = makeAuthorities();
  const { root, issuing, other } = authorities;

  test.each<[string, Partial<RoleConfig>, string]>([
    ['publish', { publish: ['${san.uri}/a'] }, 'roles.device.publish: '],
    ['subscribe', { subscribe: ['a', '${san.dns}'] }, 'roles.device.subscribe: '],
    ['deny', { deny: ['${san.email}'] }, 'roles.device.deny: '],
    ['clientId', { clientId: { bind: 'equal', to: ['${san.hwSerialNum}'] } }, 'roles.device.clientId.to: '],
  ])('is refused for a name that the plugin does not read, in %s', (_, role, field) => {
    const policy = makePolicy(authorities, { roles: [{ ...ROLE, ...role }] });
    expect(() => compilePolicy(policy, 'mqtt')).toThrow(field);
  });

  test('is refused for an id that the plugin does not read', () => {
    const policy = { ...makePolicy(authorities), identity: 'san.uri' } as const;
    expect(() => compilePolicy(policy, 'mqtt')).toThrow('identity: ');
  });

  test('is refused for a listener that it does not have', () => {
    expect(() => compilePolicy(makePolicy(authorities), 'other')).toThrow('the policy has no listener other');
  });

  test('is refused for an intermediate that leads to no anchor', () => {
    const trust = [{ namespace: 'own', anchors: [root.der], intermediates: [other.der] }];
    const policy = parsePolicy({ listeners: { mqtt: {} }, roles: [ROLE] }, trust);
    expect(() => compilePolicy(policy, 'mqtt')).toThrow(
      'an intermediate of namespace own leads to no anchor',
    );
  });

  test('names the CAs that may issue clients, each with those above it', () => {
    const { issuers } = compilePolicy(makePolicy(authorities), 'mqtt');
    expect(issuers.map(({ commonName, path }) => [commonName, path.length])).toEqual([
      ['Root', 0],
      ['Devices', 1],
    ]);
  });

  test('names CAs that came since, once each, and none that leads to no anchor', () => {
    const fields = { notBefore: 0, notAfter: Date.UTC(2049, 0, 1) };
    const next = makeAuthority({ cn: 'Devices 2', issuer: root, pathLength: 0, fields });
    const known = [issuing.der, next.der, other.der, next.der];
    const { issuers } = compilePolicy(makePolicy(authorities), 'mqtt', known);
    expect(issuers.map(({ commonName, path }) => [commonName, path.length])).toEqual([
      ['Root', 0],
      ['Devices', 1],
      ['Devices 2', 1],
    ]);
  });

  test('passes over a CA that issues for servers only', () => {
    const purposes = [EXTENDED_KEY_USAGE.serverAuth];
    const fields = { notBefore: 0, notAfter: Date.UTC(2049, 0, 1) };
    const servers = makeAuthority({ cn: 'Servers', issuer: root, purposes, pathLength: 0, fields });
    const trust = [{ namespace: 'own', anchors: [root.der], intermediates: [servers.der, issuing.der] }];
    const policy = parsePolicy({ listeners: { mqtt: {} }, roles: [ROLE] }, trust);
    expect(compilePolicy(policy, 'mqtt').issuers.map(({ commonName }) => commonName)).toEqual([
      'Root',
      'Devices',
    ]);
  });

  test('leaves out a CA that was taken back', () => {
    const compiled = compilePolicy(makePolicy(authorities), 'mqtt');
    const all = compiled.encode(() => true);
    const fewer = compiled.encode(({ commonName }) => commonName !== 'Devices');
    expect(all.includes(issuing.key.spki)).toBe(true);
    expect(fewer.includes(issuing.key.spki)).toBe(false);
    expect(fewer.includes(root.key.spki)).toBe(true);
  });
});
