import type { Command } from 'commander';
import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { schemaParser } from '../../core/schema.ts';
import { type CallApi, withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import { moment } from '../moment.ts';

interface ChangeOptions extends CommonOptions {
  readonly serial?: string;
  readonly device?: string;
  readonly namespace?: string;
  readonly spki?: string;
  readonly batch?: string;
  readonly authority?: string;
  readonly lineage?: string;
  readonly since?: string;
  readonly reason?: string;
  readonly invalidityDate?: string;
  readonly cascade?: boolean;
  readonly dryRun?: boolean;
}

const Result = Type.Object({
  changed: Type.Integer(),
  unchanged: Type.Integer(),
  final: Type.Integer(),
  profiles: Type.Record(Type.String(), Type.Integer()),
  serials: Type.Array(Type.String()),
  published: Type.Boolean(),
  cursor: Type.Optional(Type.String()),
});
type ChangeResult = Static<typeof Result>;
const parseResult = schemaParser(Result, 'internal');

const SELECTORS = [
  'serial',
  'device',
  'namespace',
  'spki',
  'batch',
  'authority',
  'lineage',
  'since',
] as const;
/** Certificates asked for at once, so that there is progress to tell. */
const AT_ONCE = 10_000;
const SHOWN = 20;

const WORDS = {
  revoke: { done: 'revoked', would: 'would be revoked' },
  hold: { done: 'held', would: 'would be held' },
  release: { done: 'released', would: 'would be released' },
} as const;

export function revokeCommand(shell: Shell): Command {
  return selecting(
    newCommand(
      'revoke',
      'take certificates back for good; saying it twice is harmless',
      'birthmark revoke --device SN-1 --reason keyCompromise --dry-run',
    ),
  )
    .requiredOption(
      '--reason <reason>',
      'of RFC 5280: keyCompromise (blocks the key for ever), superseded, cessationOfOperation, privilegeWithdrawn, affiliationChanged, cACompromise, unspecified',
    )
    .option('--invalidity-date <time>', 'since when the key may have been in other hands', moment)
    .action((options: ChangeOptions) => change(shell, options, 'revoke'));
}

export function holdCommand(shell: Shell): Command {
  return selecting(
    newCommand(
      'hold',
      'take certificates back until they are released or revoked',
      'birthmark hold --serial 019ab3…',
    ),
  ).action((options: ChangeOptions) => change(shell, options, 'hold'));
}

export function unholdCommand(shell: Shell): Command {
  return selecting(
    newCommand('unhold', 'make held certificates good again', 'birthmark unhold --serial 019ab3…'),
  ).action((options: ChangeOptions) => change(shell, options, 'release'));
}

function selecting(command: Command): Command {
  return command
    .option('--serial <hex>', 'one certificate')
    .option('--device <sn>', 'all certificates of a device')
    .option('--namespace <name>', "whose serial number that is; this authority's own by default")
    .option('--spki <sha256>', 'all certificates of a key, by the SHA-256 of its SubjectPublicKeyInfo')
    .option('--batch <batch>', 'all certificates of the devices of a batch')
    .option('--authority <name>', 'all that an authority issued, by its name in `authority list`')
    .option('--lineage <hex>', 'a certificate and all that it vouched for, through any number of renewals')
    .option(
      '--since <time>',
      'of a lineage: only what was issued from then on, and the certificate itself',
      moment,
    )
    .option('--cascade', 'with all that they vouched for')
    .option('--no-cascade', 'without; otherwise an IDevID takes it along for keyCompromise')
    .option('--dry-run', 'only show what would be done');
}

async function change(shell: Shell, options: ChangeOptions, act: keyof typeof WORDS): Promise<void> {
  const by = Object.fromEntries(
    SELECTORS.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  if (Object.keys(by).length === 0) {
    throw new BirthmarkError(
      'bad-request',
      'say which certificates: --serial, --device, --spki, --batch, --authority or --lineage',
    );
  }
  const { reason, invalidityDate, cascade, dryRun = false } = options;
  const body = { by, act, reason, invalidityDate, cascade, dryRun };
  const result = await withApi(homeOf(options), shell.environment, (call) => changeAll(shell, call, body));
  if (options.json) return shell.out(JSON.stringify(result));
  tell(shell, result, act, dryRun);
}

/** Goes on until there are no more, and tells how far it is. What was cut short is finished by saying it again. */
async function changeAll(shell: Shell, call: CallApi, body: object): Promise<ChangeResult> {
  let total: ChangeResult | undefined;
  for (let cursor: string | undefined; ; ) {
    const answer = await call('POST', '/revocations', { ...body, limit: AT_ONCE, ...(cursor && { cursor }) });
    const { cursor: next, ...result } = parseResult(answer, '');
    total = total ? add(total, result) : result;
    if (next === undefined) return total;
    shell.note(`${total.changed} done, ${total.unchanged} were so already …`);
    cursor = next;
  }
}

function add(a: ChangeResult, b: ChangeResult): ChangeResult {
  const profiles = { ...a.profiles };
  for (const [name, count] of Object.entries(b.profiles)) profiles[name] = (profiles[name] ?? 0) + count;
  return {
    changed: a.changed + b.changed,
    unchanged: a.unchanged + b.unchanged,
    final: a.final + b.final,
    profiles,
    serials: [...a.serials, ...b.serials].slice(0, SHOWN),
    // The last part publishes, for all of them.
    published: b.published,
  };
}

function tell(shell: Shell, result: ChangeResult, act: keyof typeof WORDS, dryRun: boolean): void {
  const { changed, unchanged, final, profiles, serials, published } = result;
  const counts = Object.entries(profiles).map(([name, count]) => `${count} ${name}`);
  const word = WORDS[act][dryRun ? 'would' : 'done'];
  shell.out(`${changed} ${word}${changed === 0 ? '' : `: ${counts.join(', ')}`}`);
  for (const serial of serials) shell.out(`  ${serial}`);
  if (changed > serials.length) shell.out(`  and ${changed - serials.length} more`);
  if (unchanged > 0) shell.out(`${unchanged} ${act === 'release' ? 'were not held' : 'were so already'}`);
  if (final > 0) shell.out(`${final} stay revoked: that is never taken back`);
  if (!published) shell.note('the CRL does not tell it yet; it is tried again until it does');
}
