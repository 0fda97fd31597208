import { Command } from 'commander';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
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
    );
}
