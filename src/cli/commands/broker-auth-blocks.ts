import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { type CallApi, gateApi, withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';

export interface GateChoice extends CommonOptions {
  readonly config?: string;
}

const GATE_CHOICE = [
  '--config <file>',
  'the gate that serves this gate.toml; the gates of birthmark serve where this is not given',
] as const;

const BlockSchema = Type.Object({
  gate: Type.String(),
  who: Type.String(),
  rule: Type.String(),
  behaviour: Type.String(),
  reaction: Type.String(),
  since: Type.String(),
  until: Type.Optional(Type.String()),
  count: Type.Integer(),
  listener: Type.String(),
  listeners: Type.Optional(Type.Array(Type.String())),
  serial: Type.Optional(Type.String()),
  told: Type.Optional(Type.Boolean()),
});
export type ShownBlock = Static<typeof BlockSchema>;

const parseList = schemaParser(Type.Object({ items: Type.Array(BlockSchema) }), 'internal');
const parseLifted = schemaParser(Type.Object({ lifted: Type.Array(BlockSchema) }), 'internal');

export function blocksCommand(shell: Shell): Command {
  const list = newCommand(
    'list',
    'who is restrained, by which rule and until when',
    'birthmark broker-auth blocks list',
  )
    .option(...GATE_CHOICE)
    .action(async (options: GateChoice) => {
      const blocks = await withGate(options, shell, listBlocks);
      if (options.json) shell.out(JSON.stringify({ items: blocks }));
      else if (blocks.length === 0) shell.out('nobody is restrained');
      else for (const block of blocks) shell.out(describeBlock(block));
    });
  const lift = newCommand(
    'lift',
    'let somebody in again, and count from nothing',
    'birthmark broker-auth blocks lift device:own/SN-1',
  )
    .argument('<who>', 'as the list names it')
    .option(...GATE_CHOICE)
    .action(async (who: string, options: GateChoice) => {
      const { lifted } = await withGate(options, shell, async (call) =>
        parseLifted(await call('POST', '/gate/blocks/lift', { who }), ''),
      );
      if (options.json) shell.out(JSON.stringify({ lifted }));
      else
        for (const { gate, rule, reaction } of lifted)
          shell.out(`lifted: ${gate} ${who} ${reaction} by ${rule}`);
    });
  return new Command('blocks')
    .description('whom the behaviour guard of a running gate restrains')
    .addHelpText(
      'after',
      '\nExample:\n  $ birthmark broker-auth blocks list --config /etc/birthmark/gate.toml',
    )
    .addCommand(list)
    .addCommand(lift);
}

/** @throws BirthmarkError `unavailable` where no gate runs */
export async function listBlocks(call: CallApi): Promise<readonly ShownBlock[]> {
  return parseList(await call('GET', '/gate/blocks'), '').items;
}

export function describeBlock(block: ShownBlock): string {
  const { gate, who, rule, behaviour, reaction, since, until, count, listener, listeners, told } = block;
  const end = until === undefined ? 'until a person lifts it' : `until ${until}`;
  const where = listeners ? ` at ${listeners.join(', ')}` : '';
  const known = told ? '; the authority knows' : '';
  return `${gate}  ${who}  ${reaction}${where} since ${since}, ${end}: rule ${rule} counted ${count} of ${behaviour}, the last at ${listener}${known}`;
}

/** Runs a command against a running gate: the one of `--config`, or those of the home's `serve`. */
export async function withGate<T>(
  options: GateChoice,
  { environment }: Shell,
  work: (call: CallApi) => Promise<T>,
): Promise<T> {
  const home = homeOf(options);
  const beside = join(home.path, 'gate.toml');
  // The one that `broker-auth serve` takes where it is told of none.
  const config = options.config ?? (!existsSync(home.config) && existsSync(beside) ? beside : undefined);
  if (config === undefined) return withApi(home, environment, work);
  const { gateSocket, loadGate } = await import('../broker-auth/load-gate.ts');
  return work(gateApi(gateSocket(loadGate(config))));
}
