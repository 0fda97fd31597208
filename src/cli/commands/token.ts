import { Command, Option } from 'commander';
import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { ROLES } from '../../enroll/ports.ts';
import { withApi } from '../api-client.ts';
import {
  type CommonOptions,
  durationUpTo,
  homeOf,
  newCommand,
  repeated,
  type Shell,
  wholeNumber,
} from '../command.ts';
import { listAll, printTable } from '../output.ts';

interface CreateOptions extends CommonOptions {
  readonly role: string;
  readonly name: string;
  readonly expires?: number;
  readonly profile?: readonly string[];
  readonly serialPattern?: string;
  readonly batch?: string;
  readonly count?: number;
  readonly listener?: readonly string[];
}

const parseCreated = schemaParser(
  Type.Object({ token: Type.String(), name: Type.String(), role: Type.String(), expiresAt: Type.String() }),
  'internal',
);
const parseToken = schemaParser(
  Type.Object({
    name: Type.String(),
    role: Type.String(),
    expiresAt: Type.String(),
    revokedAt: Type.Optional(Type.String()),
    used: Type.Integer(),
    count: Type.Optional(Type.Integer()),
  }),
  'internal',
);

export function tokenCommand(shell: Shell): Command {
  return new Command('token')
    .description('tokens for people and scripts')
    .addCommand(createToken(shell))
    .addCommand(listTokens(shell))
    .addCommand(revokeToken(shell));
}

function createToken(shell: Shell): Command {
  return newCommand(
    'create',
    'make a token; it is printed once, alone on the last line',
    "birthmark token create --role factory --name line-7 --profile idevid --serial-pattern 'SN-7*' --count 10000",
  )
    .addOption(new Option('--role <role>', 'what it may do').choices([...ROLES]).makeOptionMandatory())
    .requiredOption('--name <name>', 'what people call it')
    .option('--expires <duration>', 'until it expires (default: 90d)', durationUpTo(3660))
    .option(
      '--profile <profile>',
      'factory: the profiles that it may ask for (repeat for more); without it all, but no other LDevID for a device that has one',
      repeated,
    )
    .option(
      '--serial-pattern <glob>',
      'factory: the serial numbers that it may enroll; * any run, ? one character',
    )
    .option('--batch <batch>', 'factory: the batch that its devices belong to')
    .option(
      '--count <n>',
      'factory: certificates that it may have issued in all',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .option(
      '--listener <name>',
      'gate: a listener of its policy that it may tell sightings of (repeat for more)',
      repeated,
    )
    .action(async (options: CreateOptions) => {
      const { role, name, expires, profile, serialPattern, batch, count, listener } = options;
      const limits = { profiles: profile, serialPattern, batch, count, listeners: listener };
      const body = { role, name, expiresInSeconds: expires, ...limits };
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/tokens', body),
      );
      const created = parseCreated(answer, '');
      if (options.json) shell.out(JSON.stringify(answer));
      else
        shell.out(
          `token ${created.name}, role ${created.role}, until ${created.expiresAt}; it is shown only now:\n${created.token}`,
        );
    });
}

function listTokens(shell: Shell): Command {
  return newCommand('list', 'list tokens, without their secrets', 'birthmark token list').action(
    async (options: CommonOptions) => {
      const tokens = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, '/tokens', {}, Number.POSITIVE_INFINITY),
      );
      if (options.json) return shell.out(JSON.stringify(tokens));
      const rows = tokens
        .map((token) => parseToken(token, ''))
        .map(({ name, role, expiresAt, revokedAt, used, count }) => [
          name,
          role,
          revokedAt === undefined ? `until ${expiresAt}` : `revoked ${revokedAt}`,
          count === undefined ? `${used} issued` : `${used} of ${count} issued`,
        ]);
      printTable(shell, ['name', 'role', 'validity', 'use'], rows);
    },
  );
}

function revokeToken(shell: Shell): Command {
  return newCommand('revoke', 'revoke a token, also for a batch that runs', 'birthmark token revoke line-7')
    .argument('<name>')
    .action(async (name: string, options: CommonOptions) => {
      await withApi(homeOf(options), shell.environment, (call) =>
        call('DELETE', `/tokens/${encodeURIComponent(name)}`),
      );
      shell.out(options.json ? JSON.stringify({ revoked: name }) : `revoked token ${name}`);
    });
}
