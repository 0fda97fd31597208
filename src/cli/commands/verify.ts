import { type Command, InvalidArgumentError, Option } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { readCrl } from '../../x509/crl-reader.ts';
import { nameToText } from '../../x509/name.ts';
import type { Purpose } from '../../x509/path/check-path.ts';
import type { StatusScope } from '../../x509/path/check-status.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import type { Verdict } from '../../x509/path/verdict.ts';
import { readSubject } from '../../x509/read-subject.ts';
import { newCommand, repeated, type Shell, wholeNumber } from '../command.ts';
import { type FileErrors, readBlocks } from '../input-file.ts';
import { verifyLines } from '../verify/verify-lines.ts';

interface VerifyOptions {
  readonly trust?: readonly string[];
  readonly untrusted?: readonly string[];
  readonly crl?: readonly string[];
  readonly status?: StatusScope;
  readonly at?: number;
  readonly purpose: Purpose;
  readonly strict?: boolean;
  readonly maxDepth?: number;
  readonly jsonl?: boolean;
  readonly json?: boolean;
}

/** More than a path of others may have, so that the limit of the library decides. */
const MOST_DEPTH = 255;

export function verifyCommand(shell: Shell): Command {
  return newCommand(
    'verify',
    'judge a certificate: is there a path to an anchor that holds (RFC 5280 §6), and if not, why',
    'birthmark verify --trust root.pem --untrusted idevid-ca.pem --crl idevid.crl device.pem',
  )
    .argument('[certificate]', 'file, PEM or DER; further certificates in it help to build the path')
    .option('--trust <file>', 'anchors, PEM or DER (repeat for more)', repeated)
    .option('--untrusted <file>', 'intermediates (repeat for more)', repeated)
    .option('--crl <file>', 'certificate revocation lists, full and delta (repeat for more)', repeated)
    .addOption(
      new Option(
        '--status <scope>',
        'whose status must be good: leaf where a --crl is given, else none',
      ).choices(['none', 'leaf', 'chain']),
    )
    .option('--at <time>', 'when it is to be valid, as in 2026-01-31T12:00:00Z; now where absent', parseTime)
    .addOption(
      new Option('--purpose <purpose>', 'what it is to be good for')
        .choices(['clientAuth', 'serverAuth', 'any'])
        .default('any'),
    )
    .option('--strict', 'the certificate must name the purpose itself, and no other that does not go with it')
    .option('--max-depth <number>', 'intermediates, self-issued ones not counted', wholeNumber(0, MOST_DEPTH))
    .option('--jsonl', 'judge a case a line from standard input; one answer a line')
    .addHelpText('after', '\nExit codes: 0 valid, 1 not valid, 2 wrong usage.')
    .action(async (file: string | undefined, options: VerifyOptions, command: Command) => {
      if (options.jsonl) {
        await verifyLines(process.stdin, shell.out, systemClock);
        return;
      }
      if (file === undefined) command.error("error: missing required argument 'certificate'");
      if (!options.trust) command.error("error: required option '--trust <file>' not specified");
      const verdict = verifyFile(file, options, (text) => shell.note(text));
      print(shell, verdict, options.json === true);
      if (verdict.reason !== 'ok')
        throw new BirthmarkError('bad-certificate', 'the certificate is not valid');
    });
}

const UNREADABLE: FileErrors = { code: 'bad-request' };

function verifyFile(file: string, options: VerifyOptions, note: (text: string) => void): Verdict {
  const { trust = [], untrusted = [], crl, status, at, purpose, strict, maxDepth } = options;
  const [leaf = new Uint8Array(0), ...more] = readBlocks(file, 'CERTIFICATE', UNREADABLE);
  const anchors = openTrust({
    anchors: trust.flatMap((name) => readBlocks(name, 'CERTIFICATE', UNREADABLE)),
  });
  for (const { error } of anchors.unreadable) note(`birthmark: an anchor is not trusted: ${error.message}`);
  return validatePath(leaf, {
    trust: anchors,
    untrusted: [...more, ...untrusted.flatMap((name) => readBlocks(name, 'CERTIFICATE', UNREADABLE))],
    crls: (crl ?? []).flatMap((name) => readBlocks(name, 'X509 CRL', UNREADABLE).map(readCrl)),
    status: status ?? (crl ? 'leaf' : 'none'),
    at: at ?? systemClock(),
    purpose,
    strictPurpose: strict === true,
    ...(maxDepth === undefined ? {} : { limits: { maxDepth } }),
  });
}

function print(shell: Shell, verdict: Verdict, json: boolean): void {
  const path = verdict.path?.map((der) => nameToText(readSubject(der)));
  const until = verdict.reason === 'ok' ? toTime(verdict.lookAgainAt) : undefined;
  if (json) {
    const { path: _, ...rest } = verdict;
    shell.out(JSON.stringify({ valid: verdict.reason === 'ok', ...rest, path, lookAgainAt: until }));
    return;
  }
  shell.out(verdict.reason === 'ok' ? `valid: ${verdict.detail}` : `${verdict.reason}: ${verdict.detail}`);
  for (const [depth, subject] of path?.entries() ?? []) shell.out(`  ${depth} ${subject}`);
  if (until !== undefined) shell.out(`look again at ${until}`);
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function parseTime(text: string): number {
  const at = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(at))
    return at;
  throw new InvalidArgumentError('It is a time as in 2026-01-31T12:00:00Z.');
}
