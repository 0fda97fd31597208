import { Command } from 'commander';
import type { Shell } from '../command.ts';
import { explainCommand } from './broker-auth-explain.ts';

interface ServeOptions {
  readonly config: string;
  readonly readyFile?: string;
  readonly json?: boolean;
}

export function brokerAuthCommand(shell: Shell): Command {
  const serve = new Command('serve')
    .description('the gate alone, beside a broker: follows the authority, answers the broker, ends sessions')
    .requiredOption('--config <file>', 'gate.toml; birthmark broker-auth example prints one')
    .option('--ready-file <file>', 'write the address there once it accepts')
    .option('--json', 'print JSON, for scripts')
    .addHelpText(
      'after',
      '\nExample:\n  $ birthmark broker-auth serve --config /etc/birthmark/gate.toml\n\n' +
        'It needs no home and no authority on its machine; while the authority is away it goes on with what it knows, as long as\n' +
        'the policy allows, and denies after that.',
    )
    .action(async ({ config, readyFile, json }: ServeOptions) => {
      const { loadGate } = await import('../broker-auth/load-gate.ts');
      const { serveGate } = await import('../broker-auth/serve-gate.ts');
      await serveGate({
        loaded: loadGate(config),
        ...(readyFile === undefined ? {} : { readyFile }),
        onReady: (addresses) =>
          shell.out(
            json ? JSON.stringify(addresses) : `brokers ask at ${addresses.brokerAuth}\nstop with Ctrl-C`,
          ),
      });
    });
  const check = new Command('check')
    .description('read gate.toml and what it names, and say whether it could be served')
    .requiredOption('--config <file>', 'gate.toml')
    .addHelpText('after', '\nExample:\n  $ birthmark broker-auth check --config /etc/birthmark/gate.toml')
    .action(async ({ config }: { readonly config: string }) => {
      const { loadGate } = await import('../broker-auth/load-gate.ts');
      const { policy } = loadGate(config);
      shell.out(`${config} is right: listeners ${[...policy.listeners.keys()].join(', ')}`);
    });
  const example = new Command('example')
    .description('print a gate.toml with a comment over each key')
    .addHelpText('after', '\nExample:\n  $ birthmark broker-auth example > gate.toml')
    .action(async () => {
      const { renderExample } = await import('../broker-auth/render-example.ts');
      shell.out(renderExample());
    });
  return new Command('broker-auth')
    .description('the gate at a broker')
    .addHelpText('after', '\nExample:\n  $ birthmark broker-auth example > gate.toml')
    .addCommand(serve)
    .addCommand(check)
    .addCommand(example)
    .addCommand(explainCommand(shell));
}
