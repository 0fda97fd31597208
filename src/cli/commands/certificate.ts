import { Command } from 'commander';
import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { listAll, printTable } from '../output.ts';

interface ListOptions extends CommonOptions {
  readonly query?: string;
  readonly profile?: string;
  readonly limit: number;
}

const DEFAULT_LIMIT = 100;
const parseSummary = schemaParser(
  Type.Object({
    serial: Type.String(),
    profile: Type.String(),
    holder: Type.String(),
    notAfter: Type.String(),
    vouchedBy: Type.String(),
    status: Type.String(),
  }),
  'internal',
);
const parseShown = schemaParser(
  Type.Object({ certificate: Type.String(), chain: Type.Array(Type.String()) }),
  'internal',
);

export function certificateCommand(shell: Shell): Command {
  const list = newCommand(
    'list',
    'list certificates, newest first',
    'birthmark certificate list --profile idevid',
  )
    .option('--query <text>', "a part of the holder's name, or the beginning of the serial")
    .option('--profile <profile>', 'only those')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000), DEFAULT_LIMIT)
    .action(async (options: ListOptions) => {
      const { query, profile } = options;
      const found = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, '/certificates', { query, profile }, options.limit),
      );
      if (options.json) return shell.out(JSON.stringify(found));
      const rows = found
        .map((certificate) => parseSummary(certificate, ''))
        .map(({ serial, profile: name, holder, notAfter, vouchedBy, status }) => [
          serial,
          name,
          holder,
          notAfter,
          vouchedBy,
          status,
        ]);
      printTable(shell, ['certificate', 'profile', 'holder', 'not after', 'vouched by', 'status'], rows);
    });
  const show = newCommand(
    'show',
    'print a certificate, PEM',
    'birthmark certificate show 019ab3… | openssl x509 -text',
  )
    .argument('<serial>', 'hexadecimal')
    .option('--chain', 'add the chain below the root')
    .action(async (serial: string, options: CommonOptions & { chain?: boolean }) => {
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('GET', `/certificates/${encodeURIComponent(serial)}`),
      );
      const { certificate, chain } = parseShown(answer, '');
      if (options.json) shell.out(JSON.stringify(answer));
      else shell.out((options.chain ? [certificate, ...chain].join('') : certificate).trimEnd());
    });
  return new Command('certificate')
    .description('the certificates of the ledger')
    .addCommand(list)
    .addCommand(show);
}
