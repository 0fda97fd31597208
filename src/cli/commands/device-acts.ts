import { type Command, Option } from 'commander';
import Type from 'typebox';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';

interface ActOptions extends CommonOptions {
  readonly namespace: string;
  readonly credential?: 'ldevid' | 'idevid';
}

const parseResult = schemaParser(
  Type.Object({
    namespace: Type.String(),
    serialNumber: Type.String(),
    state: Type.String(),
    changed: Type.Integer(),
    published: Type.Boolean(),
  }),
  'internal',
);

const NEXT: Readonly<Record<string, string>> = {
  ldevid: 'it comes back with its IDevID and a new key, or by a ticket that you make now',
  idevid: 'it comes back by a recovery ticket: birthmark ticket create --recovery --serial-number SN',
};

/** What is done with a device and all that it has, a command each. */
export function deviceActs(shell: Shell): readonly Command[] {
  return [
    act(shell, 'quarantine', 'shut a device out: all that it has is held'),
    act(shell, 'release', 'end a quarantine: what it held is released'),
    act(shell, 'call-renewal', 'call for the renewal of what a device has, now'),
    act(shell, 'retire', 'take a device out of use for good: all that it has is revoked'),
    act(shell, 'recover', 'say that a key of a device is out, and open the way back that is left').addOption(
      new Option('--credential <kind>', 'whose key is out')
        .choices(['ldevid', 'idevid'])
        .makeOptionMandatory(),
    ),
  ];
}

function act(shell: Shell, name: string, description: string): Command {
  const more = name === 'recover' ? ' --credential ldevid' : '';
  return newCommand(name, description, `birthmark device ${name} SN-1${more}`)
    .argument('<serial-number>')
    .option('--namespace <namespace>', 'of the device', OWN_NAMESPACE)
    .action(async (serialNumber: string, { credential, namespace, ...options }: ActOptions) => {
      const path = `/devices/${encodeURIComponent(serialNumber)}/${name}?namespace=${encodeURIComponent(namespace)}`;
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', path, credential === undefined ? undefined : { credential }),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      const { state, changed, published } = parseResult(answer, '');
      const certificates = changed === 1 ? '1 certificate' : `${changed} certificates`;
      shell.out(`device ${namespace}/${serialNumber} is ${state}; ${certificates} changed`);
      if (!published) shell.out('the lists do not tell it yet; that is tried again');
      const next = credential === undefined ? undefined : NEXT[credential];
      if (next !== undefined) shell.out(next);
    });
}
