import { Command } from 'commander';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { loadConfig } from '../config/load-config.ts';
import { ledgerPlace } from '../ledger-place.ts';
import { listAll } from '../output.ts';

const EVERYTHING = Number.MAX_SAFE_INTEGER;

export function auditCommand(shell: Shell): Command {
  const print = (path: string) => async (options: CommonOptions & { limit: number }) => {
    const records = await withApi(homeOf(options), shell.environment, (call) =>
      listAll(call, path, {}, options.limit),
    );
    if (options.json) shell.out(JSON.stringify(records));
    else for (const record of records) shell.out(JSON.stringify(record));
  };
  const limit = wholeNumber(1, EVERYTHING);
  return new Command('audit')
    .description('who did what')
    .addCommand(
      newCommand('show', 'print every act, oldest first, one JSON object a line', 'birthmark audit show')
        .option('--limit <n>', 'at most so many', limit, EVERYTHING)
        .action(print('/audit')),
    )
    .addCommand(
      newCommand(
        'incidents',
        'print what people must look at: keys that two devices have, …',
        'birthmark audit incidents',
      )
        .option('--limit <n>', 'at most so many', limit, EVERYTHING)
        .action(print('/incidents')),
    )
    .addCommand(
      newCommand('verify', 'hold the record against itself and against the ledger', 'birthmark audit verify')
        .addHelpText(
          'after',
          '\nReads all of the record (ledger.record): each frame must follow the one before it, and what it tells must be in the ledger.\n' +
            'The last frame shows what the record is as a whole: write its hash down elsewhere, and nobody changes the past unseen.',
        )
        .action((options: CommonOptions) => verify(shell, options)),
    );
}

async function verify(shell: Shell, options: CommonOptions): Promise<void> {
  const { verifyRecord } = await import('../../store/sqlite/record/verify-record.ts');
  const { describeRecord } = await import('../doctor/check-ledger.ts');
  const home = homeOf(options);
  const { path, record } = ledgerPlace(home, loadConfig(home.config));
  const report = verifyRecord({ ledger: path, record: record.path, full: true });
  const { findings, head } = report;
  if (findings.length > 0) process.exitCode = 1;
  if (options.json) return shell.out(JSON.stringify(report));
  for (const finding of findings) shell.out(`failed   ${finding}`);
  if (findings.length === 0) shell.out(`ok       ${describeRecord(report, true)}`);
  if (head) shell.out(`last frame ${head.sequence}, SHA-256 ${head.hash}`);
}
