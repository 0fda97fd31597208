import { Command, Option } from 'commander';
import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { listAll, printTable } from '../output.ts';

interface ListOptions extends CommonOptions {
  readonly state?: string;
  readonly limit: number;
}

const DEFAULT_LIMIT = 100;
const parseApproval = schemaParser(
  Type.Object({
    id: Type.Integer(),
    namespace: Type.String(),
    serialNumber: Type.String(),
    keyHash: Type.String(),
    profile: Type.String(),
    vouchedBy: Type.String(),
    state: Type.String(),
    requestedAt: Type.String(),
  }),
  'internal',
);

export function enrollmentCommand(shell: Shell): Command {
  return new Command('enrollment')
    .description("enrollments that wait for a person's word")
    .addCommand(listEnrollments(shell))
    .addCommand(decideEnrollment(shell, 'approve', 'let an enrollment go on when the device asks again'))
    .addCommand(decideEnrollment(shell, 'deny', 'refuse an enrollment'));
}

function listEnrollments(shell: Shell): Command {
  return newCommand('list', 'list enrollments, newest first', 'birthmark enrollment list --state waiting')
    .addOption(new Option('--state <state>', 'only those').choices(['waiting', 'approved', 'denied']))
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000), DEFAULT_LIMIT)
    .action(async (options: ListOptions) => {
      const { state } = options;
      const found = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, '/enrollments', { state }, options.limit),
      );
      if (options.json) return shell.out(JSON.stringify(found));
      const rows = found
        .map((enrollment) => parseApproval(enrollment, ''))
        .map(({ id, namespace, serialNumber, profile, state: now, requestedAt, keyHash, vouchedBy }) => [
          String(id),
          now,
          `${namespace}/${serialNumber}`,
          profile,
          requestedAt,
          keyHash,
          vouchedBy,
        ]);
      printTable(shell, ['id', 'state', 'device', 'profile', 'since', 'key', 'vouched by'], rows);
    });
}

function decideEnrollment(shell: Shell, word: 'approve' | 'deny', description: string): Command {
  return newCommand(word, description, `birthmark enrollment ${word} 17`)
    .argument('<id>', 'as enrollment list shows it', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .action(async (id: number, options: CommonOptions) => {
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', `/enrollments/${id}/${word}`),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      const { state, namespace, serialNumber, profile } = parseApproval(answer, '');
      shell.out(`${state}: device ${namespace}/${serialNumber}, profile ${profile}`);
    });
}
