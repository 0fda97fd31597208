import { Command, Option } from 'commander';
import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { KEY_ALGORITHMS } from '../../keys/key-algorithm.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { printTable } from '../output.ts';

const Authority = {
  name: Type.String(),
  family: Type.String(),
  state: Type.String(),
  issuer: Type.String(),
  subject: Type.String(),
  serial: Type.String(),
  algorithm: Type.String(),
  notAfter: Type.String(),
  activatableAt: Type.Optional(Type.String()),
};
const parseAuthorities = schemaParser(Type.Object({ items: Type.Array(Type.Object(Authority)) }), 'internal');
const Standing = Type.Object({ certificates: Type.Integer(), until: Type.Optional(Type.String()) });
const parseShown = schemaParser(Type.Object({ ...Authority, standing: Standing }), 'internal');
const ActedSchema = Type.Object({ ...Authority, changed: Type.Boolean() });
const parseActed = schemaParser(ActedSchema, 'internal');

interface RotateOptions extends CommonOptions {
  readonly algorithm?: string;
  readonly validityDays?: number;
  readonly commonName?: string;
  readonly from?: string;
  readonly activate: 'now' | 'later';
}

export function authorityCommand(shell: Shell): Command {
  return new Command('authority')
    .description('the authorities of this home, and how one is followed by the next')
    .addCommand(listAuthorities(shell))
    .addCommand(showAuthority(shell))
    .addCommand(rotateAuthority(shell))
    .addCommand(activateAuthority(shell))
    .addCommand(retireAuthority(shell));
}

function listAuthorities(shell: Shell): Command {
  return newCommand(
    'list',
    'every generation of every authority, and which of them issue',
    'birthmark authority list',
  ).action(async (options: CommonOptions) => {
    const answer = await withApi(homeOf(options), shell.environment, (call) => call('GET', '/authorities'));
    const { items } = parseAuthorities(answer, '');
    if (options.json) return shell.out(JSON.stringify(items));
    const rows = items.map((one) => [
      ...[one.name, one.state, one.algorithm, one.issuer, one.notAfter.slice(0, 10)],
      ...[one.serial, one.subject],
    ]);
    printTable(shell, ['name', 'state', 'key', 'issuer', 'until', 'serial', 'subject'], rows);
  });
}

function showAuthority(shell: Shell): Command {
  return newCommand(
    'show',
    'one generation, with how many certificates still stand under it',
    'birthmark authority show ldevid',
  )
    .argument('<name>', 'as list has it')
    .action(async (name: string, options: CommonOptions) => {
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('GET', `/authorities/${encodeURIComponent(name)}`),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      const { standing, ...authority } = parseShown(answer, '');
      for (const [key, value] of Object.entries(authority)) shell.out(`${key.padEnd(14)} ${value}`);
      const until = standing.until === undefined ? '' : `, the last until ${standing.until}`;
      shell.out(`${'standing'.padEnd(14)} ${standing.certificates} certificates${until}`);
    });
}

function rotateAuthority(shell: Shell): Command {
  return newCommand(
    'rotate',
    'make the next generation of an authority and publish it',
    'birthmark authority rotate ldevid --algorithm ec-p384',
  )
    .argument('<authority>', 'root, idevid, ldevid or service')
    .addOption(
      new Option('--algorithm <name>', 'its key; as birthmark.toml has it where not given').choices([
        ...KEY_ALGORITHMS,
      ]),
    )
    .option('--validity-days <n>', 'how long it lasts; never beyond its issuer', wholeNumber(1, 36_500))
    .option(
      '--common-name <name>',
      'CN of its subject; the one of birthmark.toml with a number where not given',
    )
    .option('--from <name>', 'the generation that it is to follow: said again, it makes no second one')
    .addOption(
      new Option('--activate <when>', 'now: it issues at once, before anybody could learn of it')
        .choices(['now', 'later'])
        .default('later'),
    )
    .addHelpText(
      'after',
      '\nIt issues nothing until `birthmark authority activate`, which wants it to have been published for rollover.publishedHours, so\n' +
        'that devices (EST cacerts) and gates know it by then. Killed at any step it is finished by saying it again. Its key is in\n' +
        'keys/: make a backup. Of a root: docs/authorities.md first.',
    )
    .action(async (family: string, { home, json, ...order }: RotateOptions) => {
      const acted = await act(shell, { home, ...(json && { json }) }, family, 'rotate', order);
      if (!acted) return;
      const { name, state, activatableAt, changed } = acted;
      shell.out(`${name} ${changed ? 'is made and published' : 'was made before'}: ${state}`);
      if (state === 'prepared')
        shell.out(`  it may issue from ${activatableAt} on: birthmark authority activate ${family}`);
      else await tellFormer(shell, { home }, family);
      if (changed) shell.note(`note: its key is keys/${name}.key: make a backup, older ones do not have it`);
    });
}

function activateAuthority(shell: Shell): Command {
  return newCommand(
    'activate',
    'let the generation that is prepared issue, instead of the one before it',
    'birthmark authority activate ldevid',
  )
    .argument('<authority>', 'root, idevid, ldevid or service')
    .option('--now', 'although it was not published for long enough')
    .action(async (family: string, options: CommonOptions & { readonly now?: boolean }) => {
      const acted = await act(shell, options, family, 'activate', { now: options.now ?? false });
      if (!acted) return;
      shell.out(acted.changed ? `${acted.name} issues from now on` : `${acted.name} issues already`);
      await tellFormer(shell, options, family);
    });
}

function retireAuthority(shell: Shell): Command {
  return newCommand(
    'retire',
    'retire a former generation under which nothing stands, or give up a prepared one',
    'birthmark authority retire ldevid --revoke superseded',
  )
    .argument('<name>', 'the generation, as list has it')
    .addOption(
      new Option('--revoke <reason>', 'revoke its certificate too').choices([
        'superseded',
        'cessationOfOperation',
      ]),
    )
    .action(async (name: string, options: CommonOptions & { readonly revoke?: string }) => {
      const acted = await act(shell, options, name, 'retire', { revoke: options.revoke });
      if (acted) shell.out(`${acted.name} is ${acted.changed ? 'retired' : 'retired already'}`);
    });
}

/** What the one before has left behind: nobody is called to leave it by the switch itself. */
async function tellFormer(shell: Shell, options: CommonOptions, family: string): Promise<void> {
  const former = await withApi(homeOf(options), shell.environment, async (call) => {
    const { items } = parseAuthorities(await call('GET', '/authorities'), '');
    const found = items.findLast((one) => one.family === family && one.state === 'former');
    return found && parseShown(await call('GET', `/authorities/${found.name}`), '');
  });
  if (!former) return;
  const { name, standing } = former;
  if (standing.certificates === 0) {
    shell.out(`  nothing of ${name} stands any more: birthmark authority retire ${name}`);
    return;
  }
  shell.out(`  ${standing.certificates} certificates of ${name} stand, the last until ${standing.until}`);
  if (family === 'ldevid')
    shell.out(
      `  devices renew them when they are due; this calls them now: birthmark campaign plan NAME --preset rotate-ca --issuer ${name}`,
    );
}

/** Gives what was done, unless it was printed as JSON. */
async function act(
  shell: Shell,
  options: CommonOptions,
  name: string,
  verb: 'rotate' | 'activate' | 'retire',
  body: object,
): Promise<Static<typeof ActedSchema> | undefined> {
  const path = `/authorities/${encodeURIComponent(name)}/${verb}`;
  const answer = await withApi(homeOf(options), shell.environment, (call) => call('POST', path, body));
  if (!options.json) return parseActed(answer, '');
  shell.out(JSON.stringify(answer));
  return undefined;
}
