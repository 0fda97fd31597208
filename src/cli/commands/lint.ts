import { type Command, Option } from 'commander';
import { lintCertificate } from '../../ca/lint/lint.ts';
import type { LintFinding, LintKind } from '../../ca/lint/rule.ts';
import { ALL_KINDS } from '../../ca/lint/rule.ts';
import { LINT_RULES } from '../../ca/lint/rules.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { readByOthers } from '../../x509/second-opinion.ts';
import { newCommand, repeated, type Shell } from '../command.ts';
import { readBlocks } from '../input-file.ts';

interface LintOptions {
  readonly profile: LintKind;
  readonly issuer?: string;
  readonly attested?: readonly string[];
  readonly strict?: boolean;
  readonly json?: boolean;
  readonly rules?: boolean;
}

export function lintCommand(shell: Shell): Command {
  return newCommand(
    'lint',
    'hold any certificate to the rules for its kind (IEEE 802.1AR, RFC 5280, TCG), one finding a line',
    'birthmark lint --profile idevid --issuer idevid-ca.pem device.pem',
  )
    .argument('[certificate...]', 'files, PEM or DER; - for standard input')
    .addOption(new Option('--profile <kind>', 'what it should be').choices([...ALL_KINDS]).default('idevid'))
    .option('--issuer <file>', "the issuer's certificate: its rules and the signature are checked too")
    .option('--attested <oid>', 'a TCG policy that an attestation backs (repeat for more)', repeated)
    .option('--strict', 'warnings fail too')
    .option('--rules', 'list the rules instead')
    .addHelpText('after', '\nExits with 1 where an error was found.')
    .action(async (files: readonly string[], options: LintOptions, command: Command) => {
      if (options.rules) return printRules(shell, options);
      if (files.length === 0) command.error("error: missing required argument 'certificate'");
      let failed = 0;
      for (const file of files) failed += await lintFile(shell, file, options, files.length > 1);
      if (failed > 0) {
        throw new BirthmarkError(
          'lint-failed',
          failed === 1 ? 'the certificate breaks a rule' : `${failed} certificates break rules`,
        );
      }
    });
}

function printRules(shell: Shell, { json }: LintOptions): void {
  const rules = LINT_RULES.map(({ id, severity, kinds, source, what }) => ({
    id,
    severity,
    kinds,
    source,
    what,
  }));
  if (json) shell.out(JSON.stringify(rules));
  else
    for (const { id, severity, kinds, source, what } of rules)
      shell.out(`${severity.padEnd(7)} ${id}  ${what} [${source}] (${kinds.join(', ')})`);
}

/** @returns 1 where the certificate fails */
async function lintFile(
  shell: Shell,
  file: string,
  { profile, issuer, attested, strict, json }: LintOptions,
  many: boolean,
): Promise<number> {
  const der = readCertificateFile(file);
  const findings: readonly LintFinding[] = [
    ...lintCertificate(der, {
      kind: profile,
      ...(issuer === undefined ? {} : { issuer: parseCertificate(readCertificateFile(issuer)) }),
      ...(attested === undefined ? {} : { attestedPolicies: attested }),
    }),
    ...(await otherOpinions(der)),
  ];
  const failed = findings.some(
    ({ severity }) => severity === 'error' || (strict === true && severity === 'warning'),
  );
  if (json) shell.out(JSON.stringify({ file, ok: !failed, findings }));
  else {
    const name = many ? `${file}: ` : '';
    for (const { severity, rule, detail, source } of findings)
      shell.out(`${name}${severity.padEnd(7)} ${rule}  ${detail} [${source}]`);
    if (findings.length === 0) shell.out(`${name}nothing to say against it as ${profile}`);
  }
  return failed ? 1 : 0;
}

/** What we can read and others read differently is suspicious, whoever is right. */
async function otherOpinions(der: Uint8Array): Promise<LintFinding[]> {
  try {
    const disagreements = await readByOthers(der);
    return disagreements.map((detail) => ({
      rule: 'second-opinion',
      severity: 'warning',
      detail,
      source: 'pkijs, @peculiar/x509',
    }));
  } catch (error) {
    if (error instanceof BirthmarkError) return [];
    throw error;
  }
}

/** A file with a chain is judged by its first certificate. */
function readCertificateFile(path: string): Buffer {
  const [first = Buffer.alloc(0)] = readBlocks(path, 'CERTIFICATE', { code: 'bad-certificate' });
  return first;
}
