import { ALL_KINDS, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';

export const versionRules: readonly LintRule[] = [
  {
    id: 'version.not-v3',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.1'),
    what: 'The version is v3.',
    check: ({ version }) =>
      version === 3
        ? undefined
        : version === 0
          ? 'the version is none that exists'
          : `the version is v${version}`,
  },
  {
    id: 'unique-ids.present',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.1.2.8'),
    what: 'There is neither issuerUniqueID nor subjectUniqueID.',
    check: ({ hasUniqueIds }) => (hasUniqueIds ? 'a unique identifier is present' : undefined),
  },
];
