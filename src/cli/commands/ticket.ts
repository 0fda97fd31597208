import { Command } from 'commander';
import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, durationUpTo, homeOf, newCommand, type Shell } from '../command.ts';

interface CreateOptions extends CommonOptions {
  readonly serialNumber: string;
  readonly profile?: string;
  readonly expires?: number;
  readonly recovery?: boolean;
  readonly key?: string;
}

const parseTicket = schemaParser(
  Type.Object({
    id: Type.String(),
    needsApproval: Type.Boolean(),
    ticket: Type.String(),
    serialNumber: Type.String(),
    profile: Type.String(),
    expiresAt: Type.String(),
  }),
  'internal',
);

const parseApproved = schemaParser(
  Type.Object({ id: Type.String(), serialNumber: Type.String(), approvedBy: Type.String() }),
  'internal',
);

export function ticketCommand(shell: Shell): Command {
  const create = newCommand(
    'create',
    'make a one-time enrollment ticket; it is printed once, alone on the last line',
    'birthmark ticket create --serial-number SN-1 --expires 1h',
  )
    .requiredOption('--serial-number <sn>', "the device's serial number")
    .option('--profile <profile>', 'what it may enroll as (default: ldevid)')
    .option('--recovery', 'for a device whose IDevID is compromised: gives it another one')
    .option(
      '--key <sha256>',
      'with --recovery: SHA-256 of the SubjectPublicKeyInfo that alone may use it, hexadecimal',
    )
    .option('--expires <duration>', 'until it expires (default: 1h)', durationUpTo(366))
    .action(async (options: CreateOptions) => {
      const { serialNumber, profile, expires, recovery, key } = options;
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/tickets', { serialNumber, profile, expiresInSeconds: expires, recovery, key }),
      );
      const ticket = parseTicket(answer, '');
      if (options.json) shell.out(JSON.stringify(answer));
      else {
        if (ticket.needsApproval)
          shell.out(`another person must approve it first: birthmark ticket approve ${ticket.id}`);
        shell.out(
          `ticket for ${ticket.serialNumber}, profile ${ticket.profile}, until ${ticket.expiresAt}; it is shown only now:\n${ticket.ticket}`,
        );
      }
    });
  const approve = newCommand(
    'approve',
    'say yes to a recovery ticket that another person made',
    'birthmark ticket approve 0123456789abcdef',
  )
    .argument('<id>', 'as ticket create showed it')
    .action(async (id: string, options: CommonOptions) => {
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', `/tickets/${encodeURIComponent(id)}/approve`),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      const { serialNumber } = parseApproved(answer, '');
      shell.out(`approved: the recovery of device ${serialNumber}`);
    });
  return new Command('ticket')
    .description('one-time permissions for devices')
    .addCommand(create)
    .addCommand(approve);
}
