import { Command, Option } from 'commander';
import { withApi } from '../api-client.ts';
import { planCommand } from '../campaign/plan-command.ts';
import { parseCampaign, rowOf, show } from '../campaign/show.ts';
import { watch } from '../campaign/watch.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { moment } from '../moment.ts';
import { listAll, printTable } from '../output.ts';

interface WatchOptions extends CommonOptions {
  readonly watch?: boolean;
}

interface ApproveOptions extends CommonOptions {
  readonly planned?: string;
}

interface MembersOptions extends CommonOptions {
  readonly state?: string;
  readonly limit: number;
}

const MOST = 1000;

/** What people do to a campaign, in one word each. */
const ACTS = [
  ['start', 'start a campaign; credentials that are to be taken at once are, before it returns'],
  ['pause', 'pause a campaign: nobody is called, and deadlines wait'],
  ['resume', 'go on with a campaign; a gate that made it pause is waived'],
  ['rollback', 'take back what can be: calls and holds'],
] as const;

export function campaignCommand(shell: Shell): Command {
  const command = new Command('campaign')
    .description('replace many credentials: in waves, to be paused, resumed and rolled back')
    .addCommand(planCommand(shell));
  for (const [word, description] of ACTS) command.addCommand(actCommand(shell, word, description));
  return command
    .addCommand(approveCommand(shell))
    .addCommand(statusCommand(shell))
    .addCommand(listCommand(shell))
    .addCommand(membersCommand(shell))
    .addCommand(dropCommand(shell));
}

function actCommand(shell: Shell, word: string, description: string): Command {
  return newCommand(word, description, `birthmark campaign ${word} recall-batch-7`)
    .argument('<name>')
    .action((name: string, options: CommonOptions) => act(shell, name, word, options));
}

function approveCommand(shell: Shell): Command {
  return newCommand(
    'approve',
    "give a second operator's word for a campaign that asks for it",
    'birthmark campaign approve recall-batch-7 --planned 2026-11-22T12:00:00.000Z',
  )
    .argument('<name>')
    .option(
      '--planned <time>',
      'when it was planned, as status says: no other plan of that name is approved',
      moment,
    )
    .action((name: string, options: ApproveOptions) => {
      const { planned } = options;
      const query = planned === undefined ? '' : `?planned=${encodeURIComponent(planned)}`;
      return act(shell, name, `approve${query}`, options);
    });
}

/** Does something to a campaign, and shows how it is then. */
async function act(shell: Shell, name: string, path: string, options: CommonOptions): Promise<void> {
  const answer = await withApi(homeOf(options), shell.environment, (call) =>
    call('POST', `/campaigns/${encodeURIComponent(name)}/${path}`),
  );
  if (options.json) shell.out(JSON.stringify(answer));
  else show(shell, parseCampaign(answer, ''));
}

function statusCommand(shell: Shell): Command {
  return newCommand(
    'status',
    'show how far a campaign is',
    'birthmark campaign status recall-batch-7 --watch',
  )
    .argument('<name>')
    .option('--watch', 'follow it until it is over or paused')
    .action(async (name: string, options: WatchOptions) => {
      const path = `/campaigns/${encodeURIComponent(name)}`;
      await withApi(homeOf(options), shell.environment, async (call) => {
        if (options.watch) return watch(shell, call, path, options.json ?? false);
        const answer = await call('GET', path);
        if (options.json) shell.out(JSON.stringify(answer));
        else show(shell, parseCampaign(answer, ''));
      });
    });
}

function listCommand(shell: Shell): Command {
  return newCommand('list', 'list campaigns, newest first', 'birthmark campaign list').action(
    async (options: CommonOptions) => {
      const campaigns = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, '/campaigns', {}, MOST),
      );
      if (options.json) return shell.out(JSON.stringify(campaigns));
      const rows = campaigns.map((one) => rowOf(parseCampaign(one, '')));
      printTable(shell, ['campaign', 'state', 'devices', 'replaced', 'to follow', 'planned by'], rows);
    },
  );
}

function membersCommand(shell: Shell): Command {
  return newCommand(
    'members',
    'list the devices of a campaign',
    'birthmark campaign members recall-batch-7 --state called',
  )
    .argument('<name>')
    .addOption(
      new Option('--state <state>', 'only those').choices([
        'waiting',
        'called',
        'renewed',
        'replaced',
        'revoked',
        'quarantined',
        'left',
        'rolled-back',
      ]),
    )
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000), 100)
    .action(async (name: string, options: MembersOptions) => {
      const { state, limit } = options;
      const members = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, `/campaigns/${encodeURIComponent(name)}/members`, { state }, limit),
      );
      if (options.json) return shell.out(JSON.stringify(members));
      const cell = (member: unknown, key: string) => String(Reflect.get(Object(member), key) ?? '');
      const columns = ['serialNumber', 'state', 'wave', 'access', 'calledAt', 'endedAt'];
      printTable(
        shell,
        ['device', 'state', 'wave', 'access', 'called', 'ended'],
        members.map((member) => columns.map((key) => cell(member, key))),
      );
    });
}

function dropCommand(shell: Shell): Command {
  return newCommand(
    'drop',
    'forget a campaign that was never started',
    'birthmark campaign drop recall-batch-7',
  )
    .argument('<name>')
    .action(async (name: string, options: CommonOptions) => {
      await withApi(homeOf(options), shell.environment, (call) =>
        call('DELETE', `/campaigns/${encodeURIComponent(name)}`),
      );
      if (options.json) shell.out(JSON.stringify({ name, dropped: true }));
      else shell.out(`campaign ${name} is forgotten`);
    });
}
