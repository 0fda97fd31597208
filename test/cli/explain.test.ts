import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../src/broker-auth/parse-policy.ts';
import type { KnownStatus } from '../../src/broker-auth/status-source.ts';
import { explain, type Question } from '../../src/cli/broker-auth/explain.ts';
import { makeMaker, policyConfig } from '../broker-auth/lab.ts';
import { codeOfAsync, seededRandom } from '../house.ts';
import { NOW } from '../x509/path/make-certificate.ts';

const maker = makeMaker('own');
const device = maker.device('dev1');
const policy = parsePolicy(policyConfig(), [maker.trust]);
const asking = (changes: Partial<Question> = {}): Question => ({
  certificates: [device.der],
  clientId: 'dev1',
  listener: 'mqtt',
  publish: [],
  subscribe: [],
  at: NOW,
  ...changes,
});
const known = (status: KnownStatus['status']) => async () => ({ status, ageMs: 0 });
const asked = (question: Question, status: KnownStatus['status'] = 'good') =>
  explain(policy, question, seededRandom(), { askStatus: known(status) });

describe('an explanation', () => {
  test('names each rule in order', async () => {
    const { allowed, steps } = await asked(
      asking({ publish: ['devices/dev1/a'], subscribe: ['devices/dev1/#'] }),
    );
    expect(allowed).toBe(true);
    expect(steps.map(({ rule }) => rule)).toEqual([
      ...['evidence', 'certificate', 'status', 'identity', 'role', 'clientId', 'topicRules', 'session'],
      ...['publish', 'subscribe'],
    ]);
  });
  test.each<[string, string, Partial<Question>, KnownStatus['status']]>([
    ['revoked', 'a certificate that was taken back', {}, 'revoked'],
    ['clientId', 'another ClientId', { clientId: 'dev2' }, 'good'],
    ['publish', 'a topic of another device', { publish: ['devices/dev2/a'] }, 'good'],
    ['subscribe', 'all topics', { subscribe: ['#'] }, 'good'],
    ['untrusted', 'a stranger', { certificates: [makeMaker('acme').device('dev1').der] }, 'good'],
  ])('ends with %s at %s', async (rule, _what, changes, status) => {
    expect(await asked(asking(changes), status)).toMatchObject({ allowed: false, refused: { rule } });
  });
  test('does not hide that a status is unknown, and does not ask for one where nobody can', async () => {
    const unknown = await explain(policy, asking(), seededRandom(), { askStatus: async () => undefined });
    expect(unknown.refused?.rule).toBe('statusUnknown');
    const { allowed, steps } = await explain(policy, asking(), seededRandom());
    expect(allowed).toBe(true);
    expect(steps).toContainEqual({ rule: 'status', detail: 'not asked for' });
  });
  test('knows the listeners that there are', async () => {
    expect(await codeOfAsync(asked(asking({ listener: 'mqtts' })))).toBe('not-found');
  });
});
