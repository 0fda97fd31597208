import { describe, expect, test } from 'vitest';
import { parseProfile } from '../../src/ca/parse-profile.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { findLabel, parseLabels, ticketLabel } from '../../src/enroll/label.ts';
import { DEFAULT_LABELS, type LabelConfig } from '../../src/enroll/label-config.ts';
import { DAY_MS, testProfiles } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

const profiles = testProfiles({
  rsa: {
    kind: 'ldevid',
    authority: 'ldevid',
    extendedKeyUsage: ['clientAuth'],
    validityDays: 90,
    allowedKeys: ['rsa'],
  },
}).map(([name, config]) => parseProfile(name, config, ['idevid', 'ldevid', 'service']));
const DEFAULT: LabelConfig = DEFAULT_LABELS.default ?? missing();

function missing(): never {
  throw new Error('there is a default label');
}

const parse = (name: string, label: Partial<LabelConfig> = {}) =>
  parseLabels({ default: DEFAULT, [name]: { ...DEFAULT, ...label } }, profiles);
/** `CODE:FIELD`, or `accepted`. */
const verdict = (name: string, label?: Partial<LabelConfig>) => {
  try {
    parse(name, label);
  } catch (error) {
    if (error instanceof BirthmarkError) return `${error.code}:${error.field}`;
    throw error;
  }
  return 'accepted';
};

describe('a label', () => {
  test.each<[string, Partial<LabelConfig>, string]>([
    ['line-1', {}, 'accepted'],
    ['x'.repeat(64), {}, 'accepted'],
    ['x'.repeat(65), {}, `config-invalid:labels.${'x'.repeat(65)}`],
    ['Line', {}, 'config-invalid:labels.Line'],
    ['a/b', {}, 'config-invalid:labels.a/b'],
    ...['cacerts', 'simpleenroll', 'simplereenroll', 'fullcmc', 'serverkeygen', 'csrattrs'].map(
      (name): [string, Partial<LabelConfig>, string] => [name, {}, `config-invalid:labels.${name}`],
    ),
    ['a', { profile: 'gone' }, 'config-invalid:labels.a.profile'],
    ['a', { profile: 'operator' }, 'config-invalid:labels.a.profile'],
    ['a', { profile: 'server' }, 'config-invalid:labels.a.profile'],
    ['a', { profile: 'idevid' }, 'config-invalid:labels.a.admit'],
    ['a', { profile: 'idevid', admit: ['ticket', 'idevid'] }, 'config-invalid:labels.a.admit'],
    ['a', { profile: 'idevid', admit: ['ticket'] }, 'accepted'],
    [
      'a',
      { profile: 'idevid', admit: ['ticket'], serverKeygen: true },
      'config-invalid:labels.a.serverKeygen',
    ],
    ['a', { serverKeygen: true }, 'accepted'],
    ['a', { serverKeygen: true, approval: true }, 'config-invalid:labels.a.serverKeygen'],
    ['a', { serverKeygen: true, profile: 'rsa' }, 'config-invalid:labels.a.serverKeygen'],
    ['a', { approval: true }, 'accepted'],
    ['a', { namespaces: ['own', 'maker'] }, 'accepted'],
    ['a', { namespaces: ['Maker'] }, 'config-invalid:labels.a.namespaces'],
    ['a', { namespaces: ['*', ''] }, 'config-invalid:labels.a.namespaces'],
  ])('%s with %j: %s', (name, label, expected) => {
    expect(verdict(name, label)).toBe(expected);
  });

  test('is found by its name, and the default one without a name', () => {
    const labels = parse('line');
    expect(findLabel(labels).name).toBe('default');
    expect(findLabel(labels, 'line').name).toBe('line');
    expect(codeOf(() => findLabel(labels, 'gone'))).toBe('not-found');
  });

  test('has what its configuration says', () => {
    const label = parse('a', { namespaces: ['maker'], renewalGraceDays: 2, channelBinding: 'required' }).get(
      'a',
    );
    expect(label).toMatchObject({ renewalGraceMs: 2 * DAY_MS, bindingRequired: true, approval: false });
    expect([...(label?.namespaces ?? [])]).toEqual(['maker']);
    expect(parse('a', { namespaces: ['maker', '*'] }).get('a')?.namespaces).toBeUndefined();
  });
});

test('labels without the default one are refused', () => {
  expect(codeOf(() => parseLabels({ line: DEFAULT }, profiles))).toBe('config-invalid');
});

test('a ticket without a label admits tickets only', () => {
  const [profile] = profiles;
  if (!profile) throw new Error('there are profiles');
  expect([...ticketLabel(profile).admits]).toEqual(['ticket']);
});
