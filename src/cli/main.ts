import { Command, CommanderError } from 'commander';
import { BirthmarkError } from '../core/errors.ts';
import type { Shell } from './command.ts';
import { programVersion } from './program-version.ts';

const REFUSED = 1;
const WRONG_USAGE = 2;

const shell: Shell = {
  environment: process.env,
  out: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
};

// `birthmark audit show | head`: who reads no further has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

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

/** A command brings in what it needs, which is much for `serve` and little for `lint`: only the one that is asked for is loaded. */
const commands: Readonly<Record<string, () => Promise<(shell: Shell) => Command>>> = {
  init: async () => (await import('./commands/init.ts')).initCommand,
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
  token: async () => (await import('./commands/token.ts')).tokenCommand,
  ticket: async () => (await import('./commands/ticket.ts')).ticketCommand,
  trust: async () => (await import('./commands/trust.ts')).trustCommand,
  enrollment: async () => (await import('./commands/enrollment.ts')).enrollmentCommand,
  factory: async () => (await import('./commands/factory.ts')).factoryCommand,
  issue: async () => (await import('./commands/issue.ts')).issueCommand,
  device: async () => (await import('./commands/device.ts')).deviceCommand,
  certificate: async () => (await import('./commands/certificate.ts')).certificateCommand,
  revoke: async () => (await import('./commands/revoke.ts')).revokeCommand,
  hold: async () => (await import('./commands/revoke.ts')).holdCommand,
  unhold: async () => (await import('./commands/revoke.ts')).unholdCommand,
  authority: async () => (await import('./commands/authority.ts')).authorityCommand,
  campaign: async () => (await import('./commands/campaign.ts')).campaignCommand,
  hygiene: async () => (await import('./commands/hygiene.ts')).hygieneCommand,
  lint: async () => (await import('./commands/lint.ts')).lintCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  admit: async () => (await import('./commands/admit.ts')).admitCommand,
  crl: async () => (await import('./commands/crl.ts')).crlCommand,
  ocsp: async () => (await import('./commands/ocsp.ts')).ocspCommand,
  backup: async () => (await import('./commands/backup.ts')).backupCommand,
  restore: async () => (await import('./commands/restore.ts')).restoreCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  'broker-auth': async () => (await import('./commands/broker-auth.ts')).brokerAuthCommand,
  agent: async () => (await import('./commands/agent.ts')).agentCommand,
  audit: async () => (await import('./commands/audit.ts')).auditCommand,
};
const asked = Object.entries(commands).find(([name]) => name === process.argv[2]);
for (const load of asked ? [asked[1]] : Object.values(commands)) program.addCommand((await load())(shell));

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
    shell.note(`birthmark: ${explain(error)}`);
  }
}

function explain(error: unknown): string {
  if (error instanceof BirthmarkError) return `${error.message} [${error.code}]`;
  if (!(error instanceof Error)) return `a fault of ours: ${String(error)}`;
  // A path that was given and does not suit (no such folder, no permission) is no fault of ours.
  if ('syscall' in error && 'path' in error) return `the system refused: ${error.message}`;
  return `a fault of ours: ${error.stack ?? error.message}`;
}
