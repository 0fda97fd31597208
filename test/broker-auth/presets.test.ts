import { createSecureContext, getCiphers } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import type { ListenerConfig, PolicyConfig } from '../../src/broker-auth/policy-config.ts';
import { PRESET_NAMES, PRESETS } from '../../src/broker-auth/presets.ts';

const TRUST = [{ namespace: 'own', anchors: [], intermediates: [] }];

function listenerOf(listener: ListenerConfig) {
  const config: PolicyConfig = { listeners: { mqtts: listener }, roles: [{ name: 'device' }] };
  return parsePolicy(config, TRUST).listeners.get('mqtts');
}

describe('a preset', () => {
  it('is transport where none is named: certificates, a status that is known, TLS 1.2 at least', () => {
    expect(listenerOf({})).toMatchObject({
      preset: 'transport',
      evidence: 'certificate',
      status: 'hard',
      withoutUsage: 'refused',
      maxStatusAgeMs: 300_000,
      tls: { minVersion: 'TLSv1.2' },
    });
  });

  it('may be made stricter', () => {
    expect(listenerOf({ preset: 'private-network', status: 'hard', maxStatusAgeSeconds: 10 })).toMatchObject({
      status: 'hard',
      maxStatusAgeMs: 10_000,
    });
  });

  it.each([
    ['evidence', { preset: 'fips-140', evidence: 'name' }],
    ['status', { preset: 'transport', status: 'soft' }],
    ['maxStatusAgeSeconds', { preset: 'transport', maxStatusAgeSeconds: 301 }],
    ['maxSessionSeconds', { preset: 'pci-dss', maxSessionSeconds: 86_401 }],
    ['withoutUsage', { preset: 'pci-dss', withoutUsage: 'idevid' }],
  ] as const)('refuses a weaker %s', (key, listener) => {
    expect(() => listenerOf(listener)).toThrow(
      expect.objectContaining({ code: 'config-invalid', field: `listeners.mqtts.${key}` }),
    );
  });

  it.each(PRESET_NAMES)('%s names only what this runtime can speak', (name) => {
    const { tls } = PRESETS[name];
    if (!tls) return expect(name === 'open' || name === 'private-network').toBe(true);
    for (const suite of tls.cipherSuites) expect(getCiphers()).toContain(suite.toLowerCase());
    for (const group of tls.groups) createSecureContext({ ecdhCurve: group });
    expect(() => createSecureContext({ ecdhCurve: 'P-999' })).toThrow();
  });
});
