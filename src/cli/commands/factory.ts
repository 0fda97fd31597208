import { Command } from 'commander';
import { BirthmarkError } from '../../core/errors.ts';
import { readSecretFile } from '../../core/secret-file.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import { newCommand, type Shell, wholeNumber } from '../command.ts';
import { enrollFile } from '../factory/enroll-file.ts';
import { createProgress } from '../factory/progress.ts';
import { readInput } from '../input-file.ts';

interface FactoryOptions {
  readonly url: string;
  readonly tokenFile: string;
  readonly ca: string;
  readonly in: string;
  readonly out: string;
  readonly profile: string;
  readonly connections: number;
  readonly json?: boolean;
}

export function factoryCommand(shell: Shell): Command {
  const enroll = newCommand(
    'enroll',
    'enroll the devices of a file, one JSON object a line, and write their certificates to another',
    'birthmark factory enroll --url https://127.0.0.1:8443 --token-file line-7.token --ca pki/root.pem --in devices.ndjson --out certificates.ndjson',
  )
    .requiredOption('--url <url>', 'the TLS listener, as in https://pki.example.com:8443')
    .requiredOption('--token-file <file>', 'holds a factory token (mode 0600)')
    .requiredOption('--ca <pem>', 'the root that the server must chain to (pki/root.pem)')
    .requiredOption(
      '--in <file>',
      'devices, NDJSON: {"serialNumber","csr","hwType"?,"hwSerialNum"?,"model"?,"batch"?}',
    )
    .requiredOption(
      '--out <file>',
      'certificates, NDJSON, one line for one line and in order; continued where it is there',
    )
    .option('--profile <profile>', 'what the devices get', 'idevid')
    .option('--connections <n>', 'requests under way at once', wholeNumber(1, 32), 4)
    .addHelpText(
      'after',
      '\nMay be stopped and started again: lines that --out has are not asked for again, and a line that was asked for but not\n' +
        'written gets the same certificate. Exits with 1 where a line was refused; its error is in --out.',
    )
    .action(async (options: FactoryOptions) => {
      const progress = createProgress(process.stderr);
      const summary = await enrollFile({
        url: options.url,
        token: readToken(options.tokenFile),
        ca: readPem(options.ca),
        input: options.in,
        output: options.out,
        profile: options.profile,
        connections: options.connections,
        onProgress: progress.show,
        onRetry: progress.retry,
      }).finally(progress.end);
      const { granted, refused, before, seconds } = summary;
      const rate = seconds > 0 ? Math.round((granted + refused) / seconds) : 0;
      if (options.json) shell.out(JSON.stringify({ ...summary, rate }));
      else {
        shell.out(
          `${granted} certificates, ${refused} refused, ${before} were there before; ${seconds.toFixed(1)} s, ${rate} a second; in ${options.out}`,
        );
      }
      if (refused > 0)
        throw new BirthmarkError(
          'bad-request',
          `${refused} lines were refused; their errors are in ${options.out}`,
        );
    });
  return new Command('factory').description("the factory line's side").addCommand(enroll);
}

/** What `token create` printed, whole or its last line only. */
function readToken(path: string): string {
  const token = readSecretFile(path).trimEnd().split('\n').at(-1)?.trim() ?? '';
  if (token !== '') return token;
  throw new BirthmarkError(
    'unauthenticated',
    `${path} is empty; birthmark token create --role factory prints a token`,
  );
}

function readPem(path: string): string {
  const text = readInput(path, { code: 'bad-pem', option: '--ca' }).toString('utf8');
  parsePemBlocks(text, ['CERTIFICATE'], `--ca ${path}`);
  return text;
}
