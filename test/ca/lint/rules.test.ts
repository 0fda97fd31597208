import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { lintRulesPage } from '../../../scripts/lint-rules.ts';
import { LINT_RULES } from '../../../src/ca/lint/rules.ts';

describe('the rules', () => {
  it('have names of their own', () => {
    expect(new Set(LINT_RULES.map(({ id }) => id)).size).toBe(LINT_RULES.length);
  });

  it.each(LINT_RULES)(
    '$id is named readably, says what must hold in one sentence, and who says so',
    (rule) => {
      expect(rule.id).toMatch(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/);
      expect(rule.what).toMatch(/^\S.*\.\)?$/);
      expect(rule.source).toMatch(/^(?:RFC|X\.690|IEEE|TCG|draft-ietf|CA\/Browser Forum|Birthmark)/);
      expect(rule.kinds.length).toBeGreaterThan(0);
    },
  );

  it('are on the page docs/lint-rules.md as they are (mend it with: node scripts/lint-rules.ts)', () => {
    expect(readFileSync(new URL('../../../docs/lint-rules.md', import.meta.url), 'utf8')).toBe(
      lintRulesPage(),
    );
  });
});
