import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { StepOptions } from '../../agent/index.ts';
import { KEY_TYPES } from '../../agent/key/key-type.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { EnrollOptions } from '../agent/agent-options.ts';
import { type CommonOptions, durationUpTo, newCommand, type Shell } from '../command.ts';

interface StateOptions extends CommonOptions {
  readonly state: string;
}

function stateCommand(name: string, description: string, example: string): Command {
  return newCommand(name, description, example).addOption(
    new Option('--state <dir>', "the agent's folder").env('BIRTHMARK_AGENT').default('./birthmark-agent'),
  );
}

/** The device's side. */
export function agentCommand(shell: Shell): Command {
  return new Command('agent')
    .description("the device's side: gets an identity, keeps it, renews it")
    .addHelpText(
      'after',
      '\nExample:\n  $ birthmark agent enroll --url https://pki.example.com:8443 --ca root.pem --serial-number SN-1 --ticket-file ticket\n' +
        '\nWhat uses the identity opens current/key.pem, current/certificate.pem and trust.pem in the state folder.',
    )
    .addCommand(enrollCommand(shell))
    .addCommand(renewCommand(shell))
    .addCommand(runCommand(shell))
    .addCommand(statusCommand(shell));
}

function enrollCommand(shell: Shell): Command {
  return stateCommand(
    'enroll',
    'get the first certificate, by a ticket or an IDevID, and write down how it is renewed',
    'birthmark agent enroll --url https://pki.example.com:8443 --ca-fingerprint 5f2e… --idevid-cert idevid.pem --idevid-key idevid.key --after-change "systemctl reload mosquitto"',
  )
    .requiredOption('--url <url>', "the authority's TLS listener")
    .option('--label <label>', "EST's label in the path")
    .option('--ca <pem>', 'the root that the server must chain to')
    .option('--ca-fingerprint <sha256>', 'of the root, which the server is then asked for')
    .option('--serial-number <sn>', "the device's, for a ticket")
    .option('--ticket-file <file>', 'holds a ticket (birthmark ticket create), mode 0600')
    .option('--idevid-cert <pem>', 'the IDevID, with the CAs below its root')
    .option('--idevid-key <pem>', 'its key, mode 0600')
    .option('--idevid-key-label <label>', "its key's label in the token")
    .addOption(new Option('--key-type <type>', 'without it what the server asks for').choices([...KEY_TYPES]))
    .option('--pkcs11-module <so>', 'keys are made in a token: its PKCS#11 library')
    .option('--pkcs11-token <label>', "the token's label")
    .option('--pkcs11-pin-file <file>', 'holds its PIN, mode 0600')
    .option('--pkcs11-engine <so>', "OpenSSL's engine for PKCS#11, so that TLS can use the token's keys")
    .option('--proxy <url>', 'socks5h://[USER@]HOST:PORT or http://[USER@]HOST:PORT')
    .option('--proxy-password-file <file>', "holds the user's password, mode 0600")
    .option('--no-channel-binding', 'through a proxy that ends TLS')
    .option(
      '--verify-command <cmd>',
      'must end with 0 where a new credential works, with 75 where nobody answers',
    )
    .option('--verify-mqtt <url>', 'a broker that must take a new credential (mqtts://HOST)')
    .option(
      '--verify-client-id <id>',
      'the ClientId for that; one that is connected already would be taken over',
    )
    .option('--after-change <cmd>', 'run after the credential or the roots changed, until it ends with 0')
    .option(
      '--look-every <time>',
      'at least so often whether to renew now; else as the server says (Retry-After)',
      durationUpTo(1),
    )
    .option('--accept-unlinked-roots', 'take a new root that none of ours vouches for (RFC 7030 §4.1.3)')
    .option('--again', 'enroll anew, by ticket or IDevID, although there is a credential')
    .option('--wait <time>', 'how long to wait for approval or for the server', durationUpTo(30))
    .addHelpText(
      'after',
      '\nCommands get BIRTHMARK_KEY, BIRTHMARK_CERTIFICATE and BIRTHMARK_TRUST: paths. Run again it goes on where it was.',
    )
    .action(async (options: EnrollOptions) => {
      const { enrollDevice } = await import('../agent/enroll-device.ts');
      const outcome = await enrollDevice(options, shell);
      await printStatus(
        shell,
        options,
        outcome === 'enrolled' ? 'enrolled' : 'there is a credential already; the settings are taken over',
      );
    });
}

function renewCommand(shell: Shell): Command {
  return stateCommand(
    'renew',
    'renew the certificate if it is due, and go on with what was interrupted; for a timer',
    'birthmark agent renew --state /var/lib/birthmark-agent',
  )
    .option('--now', 'renew whether it is due or not')
    .option('--look', 'ask first whether it is due, although it was asked not long ago')
    .action(async (options: StateOptions & { readonly now?: boolean; readonly look?: boolean }) => {
      const { tellOn, withAgent } = await import('../agent/with-agent.ts');
      const { step } = await import('../../agent/index.ts');
      const isJson = options.json === true;
      const result = await withAgent(options.state, shell, tellOn(shell, isJson), (agent) =>
        step(agent, { now: options.now === true, look: options.look === true }),
      );
      if (result.outcome === 'waiting')
        throw new BirthmarkError(
          'unavailable',
          `${result.problem ?? 'it waits'}; tried again by the next run`,
        );
      await printStatus(shell, options, result.outcome === 'renewed' ? 'renewed' : 'not due');
    });
}

function runCommand(shell: Shell): Command {
  return stateCommand(
    'run',
    'renew for as long as it runs; SIGUSR2 asks now whether it is due, SIGHUP renews now, SIGTERM ends it',
    'birthmark agent run --state /var/lib/birthmark-agent',
  ).action(async (options: StateOptions) => {
    const { tellOn, withAgent } = await import('../agent/with-agent.ts');
    const { runAgent } = await import('../../agent/index.ts');
    const stop = new AbortController();
    let wanted: StepOptions = {};
    let awake = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
    for (const [signal, wish] of [
      ['SIGHUP', { now: true }],
      ['SIGUSR2', { look: true }],
    ] as const)
      process.on(signal, () => {
        wanted = { ...wanted, ...wish };
        awake.abort();
      });
    const tell = tellOn(shell, options.json === true);
    await withAgent(options.state, shell, tell, (agent) =>
      runAgent(agent, {
        stop: stop.signal,
        sleep: async (milliseconds, signal) => {
          awake = new AbortController();
          // Ended early is ended.
          await sleep(milliseconds, undefined, { signal: AbortSignal.any([signal, awake.signal]) }).catch(
            () => undefined,
          );
        },
        wanted: () => {
          const was = wanted;
          wanted = {};
          return was;
        },
        onFault: (error) =>
          tell({ level: 'warn', event: 'refused', detail: `${error.message} [${error.code}]` }),
      }),
    );
  });
}

function statusCommand(shell: Shell): Command {
  return stateCommand(
    'status',
    'what there is, and when it is renewed',
    'birthmark agent status --state /var/lib/birthmark-agent --json',
  ).action((options: StateOptions) => printStatus(shell, options));
}

async function printStatus(
  shell: Shell,
  { state, json }: { readonly state: string; readonly json?: boolean },
  headline?: string,
): Promise<void> {
  const { showStatus } = await import('../agent/show-status.ts');
  const status = showStatus(state);
  if (json) {
    shell.out(JSON.stringify(status));
    return;
  }
  if (headline !== undefined) shell.out(headline);
  for (const [name, value] of Object.entries(status))
    shell.out(`${name.padEnd(12)} ${Array.isArray(value) ? value.join(' ') : value}`);
}
