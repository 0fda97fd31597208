import { expect, test } from 'vitest';
import { nameOptions } from '../../src/cli/campaign/name-options.ts';
import { BirthmarkError } from '../../src/core/errors.ts';
import { parsePlan } from '../../src/fleet/campaign/plan.ts';
import { type GivenPlan, planFrom } from '../../src/fleet/campaign/presets.ts';

function refusalOf(given: GivenPlan): string {
  try {
    parsePlan(planFrom(given));
  } catch (error) {
    if (error instanceof BirthmarkError) return nameOptions(error).message;
    throw error;
  }
  throw new Error('it was not refused');
}

test.each([
  [{ preset: 'batch-recall' }, ['--batch', '--model']],
  [{ preset: 'rotate-ca' }, ['--issuer']],
  [{ preset: 'algorithm-migration' }, ['--to']],
  [{ selection: {} }, ['the selection']],
  [{ selection: { batch: '7' }, stragglers: 'revoke' }, ['--deadline']],
  [{ selection: { batch: '7' }, gatePercent: 50 }, ['--wave-size']],
  [{ selection: { batch: '7' }, access: 'revoke' }, ['--reason']],
] as const)('a plan that is refused is told so by the options that it lacks: %o', (given, options) => {
  const told = refusalOf(given);
  for (const option of options) expect(told).toContain(option);
  expect(told).not.toMatch(/plan\.|selection\.|wanted\.|[a-z][A-Z]/);
});

test('what the schema of the API refuses is told by its option, other words stay', () => {
  const told = (message: string) => nameOptions(new BirthmarkError('bad-request', message)).message;
  expect(told('selection.key must match pattern "^[0-9a-f]{64}$"')).toMatch(/^--spki must match/);
  expect(told('reason must be one of superseded')).toBe('--reason must be one of superseded');
  expect(told('name must have 1 to 64 lower-case letters')).toBe('name must have 1 to 64 lower-case letters');
  expect(told('for that reason nothing is done')).toBe('for that reason nothing is done');
});
