import { ALL_KINDS, type LintRule } from '../rule.ts';

export const masaUrlRules: readonly LintRule[] = [
  {
    id: 'masa-url.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 8995 §2.3.2',
    what: 'masa-url is an IA5String that is not empty.',
    check: ({ masaUrl }) =>
      masaUrl !== undefined && (!masaUrl.wellFormed || masaUrl.url === '')
        ? 'masa-url is empty or no IA5String'
        : undefined,
  },
  {
    id: 'masa-url.scheme',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: 'RFC 8995 §2.3.2',
    what: 'masa-url is an authority (host and port), or an https URL.',
    check: ({ masaUrl }) =>
      masaUrl?.wellFormed === true &&
      /^[a-z][a-z0-9+.-]*:\/\//i.test(masaUrl.url) &&
      !/^https:\/\/./i.test(masaUrl.url)
        ? `masa-url "${masaUrl.url}" is not https`
        : undefined,
  },
];
