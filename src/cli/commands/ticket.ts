import { Command } from 'commander';
import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, durationUpTo, homeOf, newCommand, type Shell } from '../command.ts';

interface CreateOptions extends CommonOptions {
  readonly serialNumber: string;
  readonly profile: string;
  readonly expires?: number;
}

const parseTicket = schemaParser(
  Type.Object({
    ticket: Type.String(),
    serialNumber: Type.String(),
    profile: Type.String(),
    expiresAt: Type.String(),
  }),
  'internal',
);

export function ticketCommand(shell: Shell): Command {
  const create = newCommand(
    'create',
    'make a one-time enrollment ticket; it is printed once, alone on the last line',
    'birthmark ticket create --serial-number SN-1 --expires 1h',
  )
    .requiredOption('--serial-number <sn>', "the device's serial number")
    .option('--profile <profile>', 'what it may enroll as', 'ldevid')
    .option('--expires <duration>', 'until it expires (default: 1h)', durationUpTo(366))
    .action(async (options: CreateOptions) => {
      const { serialNumber, profile, expires } = options;
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/tickets', { serialNumber, profile, expiresInSeconds: expires }),
      );
      const ticket = parseTicket(answer, '');
      if (options.json) shell.out(JSON.stringify(answer));
      else
        shell.out(
          `ticket for ${ticket.serialNumber}, profile ${ticket.profile}, until ${ticket.expiresAt}; it is shown only now:\n${ticket.ticket}`,
        );
    });
  return new Command('ticket').description('one-time permissions for devices').addCommand(create);
}
