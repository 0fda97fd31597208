import type { Command } from 'commander';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import type { BrokerOptions } from '../doctor/probe-options.ts';

interface DoctorOptions extends CommonOptions, BrokerOptions {
  readonly full?: boolean;
}

const collect = (one: string, before: readonly string[] | undefined) => [...(before ?? []), one];

export function doctorCommand(shell: Shell): Command {
  return newCommand(
    'doctor',
    'look at the home: configuration, keys, chains, lists, clock, disk, ledger against record; or at a running broker',
    'birthmark doctor --broker mqtts://broker.example:8883 --preset fips-140 --ca root.pem --refused revoked.pem,revoked.key,SN-0001',
  )
    .option('--full', 'also read all of the ledger and all of the record')
    .option(
      '--broker <url>',
      'look at that broker and not at the home: mqtts://HOST:PORT, or mqtt:// without TLS',
    )
    .option('--preset <name>', 'hold it against this security profile; transport where it is not given')
    .option('--ca <file>', "who issued the broker's certificate, PEM")
    .option('--server-name <name>', "the name in the broker's certificate, where it is not the host")
    .option('--allowed <cert,key,id>', 'a client that must be let in: CERTIFICATE.pem,KEY.pem,CLIENTID')
    .option(
      '--refused <cert,key,id>',
      'one that must not, revoked or expired or of another CA; may be repeated',
      collect,
    )
    .addHelpText(
      'after',
      '\nChanges nothing, with a running server or without. Exit codes: 0 nothing failed, 1 something did.\n' +
        'docs/security-profiles.md has what each profile demands, and from where.',
    )
    .action(async (options: DoctorOptions) => {
      const findings = await (options.broker === undefined
        ? lookAtHome(options, shell)
        : lookAtBroker(options));
      for (const finding of findings) shell.out(options.json ? JSON.stringify(finding) : textOf(finding));
      if (findings.some(({ state }) => state === 'failed')) process.exitCode = 1;
    });
}

interface Found {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
  readonly source?: string;
  readonly todo?: string;
}

function textOf({ name, state, detail, source, todo }: Found): string {
  const from = source === undefined ? '' : ` [${source}]`;
  return `${state.padEnd(8)} ${name}: ${detail}${todo === undefined ? '' : `; ${todo}`}${from}`;
}

async function lookAtHome(options: DoctorOptions, shell: Shell): Promise<readonly Found[]> {
  const { runDoctor } = await import('../doctor/run-doctor.ts');
  return runDoctor(homeOf(options), shell.environment, options.full === true);
}

async function lookAtBroker(options: DoctorOptions): Promise<readonly Found[]> {
  const { runBrokerDoctor } = await import('../doctor/run-broker-doctor.ts');
  return runBrokerDoctor(options);
}
