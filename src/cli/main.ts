import { Command, CommanderError } from 'commander';
import { BirthmarkError } from '../core/errors.ts';
import type { Shell } from './command.ts';
import { auditCommand } from './commands/audit.ts';
import { certificateCommand } from './commands/certificate.ts';
import { deviceCommand } from './commands/device.ts';
import { factoryCommand } from './commands/factory.ts';
import { initCommand } from './commands/init.ts';
import { issueCommand } from './commands/issue.ts';
import { lintCommand } from './commands/lint.ts';
import { serveCommand } from './commands/serve.ts';
import { ticketCommand } from './commands/ticket.ts';
import { tokenCommand } from './commands/token.ts';
import { programVersion } from './wire.ts';

const REFUSED = 1;
const WRONG_USAGE = 2;

const shell: Shell = {
  environment: process.env,
  out: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
};

const program = new Command('birthmark')
  .description(
    'Gives every device an identity at the factory, and takes it back when it is no longer deserved.',
  )
  .version(programVersion())
  .showSuggestionAfterError()
  .configureHelp({ sortSubcommands: false })
  .addHelpText(
    'after',
    '\nEach command has its own --help with an example. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.',
  );

for (const create of [
  initCommand,
  serveCommand,
  tokenCommand,
  ticketCommand,
  factoryCommand,
  issueCommand,
  deviceCommand,
  certificateCommand,
  lintCommand,
  auditCommand,
]) {
  program.addCommand(create(shell));
}

/** commander ends the process by itself for --help and wrong usage; we want its exit codes to be ours. */
function takeExits(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) takeExits(inner);
}
takeExits(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
  else {
    process.exitCode = REFUSED;
    if (error instanceof BirthmarkError) shell.note(`birthmark: ${error.message} [${error.code}]`);
    else
      shell.note(
        `birthmark: a fault of ours: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
  }
}
