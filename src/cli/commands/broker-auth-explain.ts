import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import Type from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import type { AskGuard, AskStatus, Explanation, Question } from '../broker-auth/explain.ts';
import { type CommonOptions, homeOf, newCommand, repeated, type Shell } from '../command.ts';
import type { Home } from '../home.ts';
import { readBlocks } from '../input-file.ts';
import { describeBlock, listBlocks, withGate } from './broker-auth-blocks.ts';

interface ExplainOptions extends CommonOptions {
  readonly cert: string;
  readonly clientId: string;
  readonly listener: string;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  readonly config?: string;
}

const parseStatus = schemaParser(
  Type.Object({ status: Type.Enum(['good', 'held', 'revoked']), authority: Type.String() }),
  'internal',
);

export function explainCommand(shell: Shell): Command {
  return newCommand(
    'explain',
    'tell whether a device would be let in, and to which topics, rule by rule; exit code 1 if not',
    'birthmark broker-auth explain --cert device.pem --client-id SN-1 --publish devices/SN-1/up',
  )
    .requiredOption(
      '--cert <file>',
      "the device's certificate, PEM or DER; a PEM file may hold its chain behind it",
    )
    .requiredOption('--client-id <id>', 'the ClientId that it connects with')
    .option('--listener <name>', "the listener's name in the policy", 'mqtt')
    .option('--publish <topic>', 'a topic that it publishes to (repeat for more)', repeated)
    .option('--subscribe <filter>', 'a topic filter that it subscribes to (repeat for more)', repeated)
    .option(
      '--config <file>',
      'the rules of this gate.toml, instead of [broker] of the home, and statuses as that gate has them on its disk',
    )
    .action(async (options: ExplainOptions) => {
      const { explain } = await import('../broker-auth/explain.ts');
      const { random } = await import('../wire.ts');
      const { systemClock } = await import('../../core/clock.ts');
      const { cert, clientId, listener, publish = [], subscribe = [], config } = options;
      const certificates = readBlocks(cert, 'CERTIFICATE', { code: 'bad-certificate', option: '--cert' });
      const question = { certificates, clientId, listener, publish, subscribe, at: systemClock() };
      const askGuard = await guardOf(options, shell);
      const asked = askGuard && { askGuard };
      const answer =
        config === undefined
          ? await withStatuses(homeOf(options), shell, async (askStatus) =>
              explain(await homePolicy(homeOf(options)), question, random, { askStatus, ...asked }),
            )
          : await explainGate(config, question, asked);
      if (options.json) shell.out(JSON.stringify(answer));
      else {
        for (const { rule, detail } of answer.steps) shell.out(`ok       ${rule.padEnd(13)}  ${detail}`);
        shell.out(
          answer.refused
            ? `refused  ${answer.refused.rule}: ${answer.refused.detail}`
            : `allowed, unless ${askGuard ? '' : 'the behaviour guard restrains it, or '}another device is connected with this ClientId`,
        );
      }
      if (!answer.allowed) process.exitCode = 1;
    });
}

/** What the running gate says of whom it restrains; undefined where none runs. */
async function guardOf(options: ExplainOptions, shell: Shell): Promise<AskGuard | undefined> {
  if (options.config === undefined && !existsSync(homeOf(options).socket)) return undefined;
  try {
    const blocks = await withGate(options, shell, listBlocks);
    const here = (gate: string) => options.config !== undefined || gate === 'broker';
    return ({ namespace, id }, listener) => {
      const found = blocks.filter(
        ({ who, gate, listeners }) =>
          here(gate) && who === `device:${namespace}/${id}` && (listeners?.includes(listener) ?? true),
      );
      // A throttle lets one in now and then: it is said, but the strictest comes first.
      const block = found.find(({ reaction }) => reaction !== 'throttle') ?? found[0];
      return block && describeBlock(block);
    };
  } catch (error) {
    if (error instanceof BirthmarkError && error.code === 'unavailable') return undefined;
    throw error;
  }
}

/** The rules of a gate that stands alone, and what it has on its disk: nobody is asked. */
async function explainGate(
  config: string,
  question: Question,
  asked: { readonly askGuard?: AskGuard | undefined } | undefined,
): Promise<Explanation> {
  const { explain } = await import('../broker-auth/explain.ts');
  const { random } = await import('../wire.ts');
  const { loadGate } = await import('../broker-auth/load-gate.ts');
  const { statusesOnDisk } = await import('../broker-auth/statuses-on-disk.ts');
  const loaded = loadGate(config);
  const sources = await statusesOnDisk(loaded, random);
  return explain(loaded.policy, question, random, { ...asked, sources });
}

/** The rules of `serve --broker`, with the certificates that lie in the home. */
async function homePolicy(home: Home) {
  const { loadConfig } = await import('../config/load-config.ts');
  const { brokerPolicy } = await import('../broker-auth/broker-policy.ts');
  const read = (name: string) => readBlocks(home.pem(name), 'CERTIFICATE', { code: 'home-missing' });
  const loaded = loadConfig(home.config);
  const own = {
    namespace: OWN_NAMESPACE,
    anchors: read('root'),
    intermediates: ['idevid', 'ldevid', 'service'].flatMap(read),
  };
  return brokerPolicy(loaded, home, own);
}

/** Statuses as the ledger has them, from the server that runs or from the ledger itself. */
function withStatuses<T>(home: Home, shell: Shell, work: (askStatus: AskStatus) => Promise<T>): Promise<T> {
  return withApi(home, shell.environment, (call) =>
    work(async ({ serial }) => {
      try {
        const { status } = parseStatus(await call('GET', `/certificates/${serial}`), '');
        return { status, ageMs: 0 };
      } catch (error) {
        if (error instanceof BirthmarkError && error.code === 'not-found') return undefined;
        throw error;
      }
    }),
  );
}
