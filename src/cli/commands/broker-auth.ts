import { join } from 'node:path';
import { Command } from 'commander';
import { type CommonOptions, newCommand, type Shell } from '../command.ts';
import { blocksCommand } from './broker-auth-blocks.ts';
import { explainCommand } from './broker-auth-explain.ts';

interface GateOptions extends CommonOptions {
  readonly config?: string;
}

const CONFIG = ['--config <file>', 'gate.toml; the one in the home where this is not given'] as const;

export function brokerAuthCommand(shell: Shell): Command {
  const serve = newCommand(
    'serve',
    'the gate alone, beside a broker: follows the authority, answers the broker, ends sessions',
    'birthmark broker-auth serve --config /etc/birthmark/gate.toml',
  )
    .option(...CONFIG)
    .option('--ready-file <file>', 'write the address there once it accepts')
    .addHelpText(
      'after',
      '\nIt needs no authority on its machine; while the authority is away it goes on with what it knows, as long as the policy\n' +
        'allows, and denies after that.',
    )
    .action(async (options: GateOptions & { readonly readyFile?: string }) => {
      const { loadGate } = await import('../broker-auth/load-gate.ts');
      const { serveGate } = await import('../broker-auth/serve-gate.ts');
      const { readyFile, json } = options;
      await serveGate({
        loaded: loadGate(configOf(options)),
        ...(readyFile === undefined ? {} : { readyFile }),
        onReady: (addresses) =>
          shell.out(
            json ? JSON.stringify(addresses) : `brokers ask at ${addresses.brokerAuth}\nstop with Ctrl-C`,
          ),
      });
    });
  const check = newCommand(
    'check',
    'read gate.toml and what it names, and say whether it could be served',
    'birthmark broker-auth check --config /etc/birthmark/gate.toml',
  )
    .option(...CONFIG)
    .action(async (options: GateOptions) => {
      const { loadGate } = await import('../broker-auth/load-gate.ts');
      const config = configOf(options);
      const { policy, status, config: written } = loadGate(config);
      const listeners = [...policy.listeners.keys()];
      const statuses = {
        feed: written.authority !== undefined,
        lists: status?.lists.flatMap(({ issuers }) => issuers).length ?? 0,
        ocsp: status?.responders.flatMap(({ issuers }) => issuers).length ?? 0,
      };
      const told = [
        ...(statuses.feed ? ['the feed'] : []),
        ...(statuses.lists > 0 ? [`${statuses.lists} CA by lists`] : []),
        ...(statuses.ocsp > 0 ? [`${statuses.ocsp} CA by OCSP`] : []),
      ];
      shell.out(
        options.json
          ? JSON.stringify({ config, listeners, statuses })
          : `${config} is right: listeners ${listeners.join(', ')}; statuses from ${told.join(', ') || 'nowhere'}`,
      );
    });
  const example = newCommand(
    'example',
    'print a gate.toml with a comment over each key',
    'birthmark broker-auth example > gate.toml',
  ).action(async ({ json }: CommonOptions) => {
    const { EXAMPLE, renderExample } = await import('../broker-auth/render-example.ts');
    shell.out(json ? JSON.stringify(EXAMPLE) : renderExample());
  });
  return new Command('broker-auth')
    .description('the gate at a broker')
    .addHelpText('after', '\nExample:\n  $ birthmark broker-auth example > gate.toml')
    .addCommand(serve)
    .addCommand(check)
    .addCommand(example)
    .addCommand(explainCommand(shell))
    .addCommand(blocksCommand(shell));
}

function configOf({ config, home }: GateOptions): string {
  return config ?? join(home, 'gate.toml');
}
