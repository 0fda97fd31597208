import { type Command, Option } from 'commander';
import { BirthmarkError } from '../../core/errors.ts';
import { type CallApi, withApi } from '../api-client.ts';
import {
  type CommonOptions,
  durationUpTo,
  homeOf,
  newCommand,
  repeated,
  type Shell,
  wholeNumber,
} from '../command.ts';
import { moment } from '../moment.ts';
import { nameOptions } from './name-options.ts';
import { parseCampaign, show } from './show.ts';

const ALGORITHMS = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'];
const FINDINGS = [
  'weak-key',
  'shared-prime',
  'duplicate-key',
  'blocked-key',
  'near-cryptoperiod',
  'never-rotated',
  'silent',
];
const MOST = 100_000_000;
const YEAR_DAYS = 366;

/** As commander gives them; the names of the selection's are those of the API where they can be. */
interface PlanOptions extends CommonOptions {
  readonly preset?: string;
  readonly spki?: string;
  readonly issuer?: string;
  readonly profile?: string;
  readonly batch?: string;
  readonly model?: string;
  readonly namespace?: string;
  readonly query?: string;
  readonly issuedFrom?: string;
  readonly issuedBefore?: string;
  readonly lineage?: string;
  readonly notSeenSince?: string;
  readonly keyAlgorithm?: readonly string[];
  readonly finding?: string;
  readonly idevids?: boolean;
  readonly to?: readonly string[];
  readonly toIssuer?: string;
  readonly reason?: string;
  readonly access?: string;
  readonly success?: string;
  readonly firstWave?: number;
  readonly waveSize?: number;
  readonly rate?: number;
  readonly gate?: number;
  readonly gateWait?: number;
  readonly deadline?: number;
  readonly stragglers?: string;
  readonly approval?: boolean;
  readonly dryRun?: boolean;
}

export function planCommand(shell: Shell): Command {
  const command = newCommand(
    'plan',
    'find who is to be replaced and show the blast radius; nothing is done before the start',
    'birthmark campaign plan recall-batch-7 --preset batch-recall --batch 7 --wave-size 500 --rate 600',
  ).argument('<name>', 'a label of its own, by which every other command calls it');
  return deciding(selecting(command)).action((name: string, options: PlanOptions) =>
    plan(shell, name, options),
  );
}

function selecting(command: Command): Command {
  return command
    .addOption(
      new Option('--preset <preset>', 'what a hard day needs; what is said here goes before it').choices([
        'rotate-ca',
        'algorithm-migration',
        'batch-recall',
        'firmware-key-leak',
      ]),
    )
    .option('--spki <sha256>', 'credentials of a key, by the SHA-256 of its SubjectPublicKeyInfo')
    .option('--issuer <authority>', 'of an authority')
    .option('--profile <profile>', 'of a profile')
    .option('--batch <batch>', 'of the devices of a batch')
    .option('--model <model>', 'of the devices of a model')
    .option('--namespace <name>', 'of the devices of a namespace')
    .option('--query <text>', 'of devices whose serial number begins so')
    .option('--issued-from <time>', 'issued then or later', moment)
    .option('--issued-before <time>', 'issued before', moment)
    .option('--lineage <hex>', 'a certificate and all that it vouched for')
    .option('--not-seen-since <time>', 'not seen in use since then, or never', moment)
    .addOption(
      new Option('--key-algorithm <name>', 'with such a key; may be said again')
        .choices(ALGORITHMS)
        .argParser(repeated),
    )
    .addOption(new Option('--finding <kind>', 'found by birthmark hygiene scan').choices(FINDINGS))
    .option('--idevids', 'IDevIDs too: they are held or revoked, nobody can replace them in the field');
}

function deciding(command: Command): Command {
  return command
    .addOption(
      new Option('--to <algorithm>', 'new credentials must have such a key to count')
        .choices(ALGORITHMS)
        .argParser(repeated),
    )
    .option('--to-issuer <authority>', 'new credentials must be of that authority to count')
    .option('--reason <reason>', 'with which the old ones are taken back (RFC 5280): superseded by default')
    .addOption(
      new Option(
        '--access <what>',
        'what becomes of the old ones at once: keep them until they are replaced, hold, or revoke',
      ).choices(['keep', 'hold', 'revoke']),
    )
    .addOption(
      new Option(
        '--success <when>',
        'when a device has followed: its new credential was used, or only issued',
      ).choices(['used', 'issued']),
    )
    .option('--first-wave <n>', 'devices of the first wave', wholeNumber(1, MOST))
    .option('--wave-size <n>', 'devices of each other wave; all at once by default', wholeNumber(0, MOST))
    .option('--rate <n>', 'devices called in a minute; no limit by default', wholeNumber(0, MOST))
    .option('--gate <percent>', 'of a wave, how many must have followed before the next', wholeNumber(0, 100))
    .option(
      '--gate-wait <duration>',
      'how long a wave is waited for before it pauses',
      durationUpTo(YEAR_DAYS),
    )
    .option('--deadline <duration>', 'after the start, as in 14d', durationUpTo(YEAR_DAYS))
    .addOption(
      new Option('--stragglers <what>', 'what becomes of who has not followed by then').choices([
        'leave',
        'revoke',
        'quarantine',
      ]),
    )
    .option('--approval', 'a second operator must approve it before it starts')
    .option('--dry-run', 'show the blast radius and forget the plan again');
}

async function plan(shell: Shell, name: string, options: PlanOptions): Promise<void> {
  const answer = await withApi(homeOf(options), shell.environment, async (call) => {
    let told = await call('POST', '/campaigns', bodyOf(name, options)).catch((error: unknown) => {
      throw error instanceof BirthmarkError ? nameOptions(error) : error;
    });
    for (let campaign = parseCampaign(told, ''); campaign.state === 'planning'; ) {
      shell.note(`${campaign.blastRadius.devices} devices found so far …`);
      told = await call('POST', `/campaigns/${name}/plan`);
      campaign = parseCampaign(told, '');
    }
    if (options.dryRun) await forget(call, name);
    return told;
  });
  if (options.json) return shell.out(JSON.stringify(answer));
  const campaign = parseCampaign(answer, '');
  show(shell, campaign);
  if (options.dryRun) shell.out('  only looked at: the plan is forgotten');
  else if (campaign.blastRadius.devices === 0)
    shell.note(`it selects nothing and cannot start; birthmark campaign drop ${name} forgets it`);
  else if (campaign.plan.approval)
    shell.note(
      `nothing is done yet; another operator says birthmark campaign approve ${name} --planned ${campaign.createdAt}, then birthmark campaign start ${name} begins it`,
    );
  else shell.note(`nothing is done yet; birthmark campaign start ${name} begins it`);
}

async function forget(call: CallApi, name: string): Promise<void> {
  await call('DELETE', `/campaigns/${name}`);
}

/** What was not said is not sent: the preset, or the default, has its say. */
function bodyOf(name: string, options: PlanOptions): object {
  const { spki, query, keyAlgorithm, to, toIssuer, rate, gate, gateWait, deadline } = options;
  const { preset, reason, access, success, firstWave, waveSize, stragglers, approval } = options;
  const { issuer, profile, batch, model, namespace, issuedFrom, issuedBefore, lineage } = options;
  const { notSeenSince, finding, idevids } = options;
  const selection = said({
    key: spki?.replaceAll(':', '').toLowerCase(),
    issuer,
    profile,
    batch,
    model,
    namespace,
    device: query,
    issuedFrom,
    issuedBefore,
    lineage: lineage?.replaceAll(':', '').toLowerCase(),
    notSeenSince,
    keyAlgorithms: keyAlgorithm,
    finding,
    idevids,
  });
  const wanted = said({ keyAlgorithms: to, issuer: toIssuer });
  const waits = said({ gateWaitSeconds: gateWait, deadlineSeconds: deadline });
  return {
    name,
    selection,
    ...(Object.keys(wanted).length > 0 && { wanted }),
    ...waits,
    ...said({ preset, reason, access, success, firstWave, waveSize, stragglers, approval }),
    ...said({ ratePerMinute: rate, gatePercent: gate }),
  };
}

function said(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
