// Writes docs/lint-rules.md from the rules themselves: `node scripts/lint-rules.ts`.
import { writeFileSync } from 'node:fs';
import { ALL_KINDS, END_ENTITIES, type LintRule } from '../src/ca/lint/rule.ts';
import { LINT_RULES } from '../src/ca/lint/rules.ts';

const FILE = new URL('../docs/lint-rules.md', import.meta.url);

const INTRODUCTION = `# Lint rules

Every certificate is held against these rules before an authority's key touches it, and \`birthmark lint\` holds any
certificate against them. The page is made from the rules (\`node scripts/lint-rules.ts\`); a test holds it to them.

- **error**: a standard forbids it, or strangers will refuse or misread the certificate. It is not signed.
- **warning**: a standard says SHOULD otherwise.
- **notice**: allowed, and worth knowing.

A rule with ¹ needs the authority's certificate, one with ² a signature: it is passed over before signing.
One finding a rule: its detail names the first place that breaks it. Rules keep their names.

Sources: the text of IEEE 802.1AR-2018 is not free, and TCG's was not at hand. What they ask for, and the few clause
numbers, are taken from RFC 8995, the IoT profile's draft, published device profiles and open implementations.
`;

function kindsText({ kinds }: LintRule): string {
  if (kinds.length === ALL_KINDS.length) return 'all';
  const isEndEntities = kinds.length === END_ENTITIES.length && !kinds.includes('ca');
  return isEndEntities ? 'end entities' : kinds.join(', ');
}

function row(rule: LintRule): string {
  const mark = rule.needs === 'issuer' ? '¹' : rule.needs === 'signature' ? '²' : '';
  const cells = [`\`${rule.id}\`${mark}`, rule.severity, kindsText(rule), rule.what, rule.source];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The page, whole. */
export function lintRulesPage(): string {
  const count = (severity: string) => LINT_RULES.filter((rule) => rule.severity === severity).length;
  const total = `${LINT_RULES.length} rules: ${count('error')} errors, ${count('warning')} warnings, ${count('notice')} notices.`;
  const head = '| rule | severity | kinds | what must hold | source |\n|---|---|---|---|---|';
  return `${INTRODUCTION}\n${total}\n\n${head}\n${LINT_RULES.map(row).join('\n')}\n`;
}

if (import.meta.main) writeFileSync(FILE, lintRulesPage());
