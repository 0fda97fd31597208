import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import type { Shell } from '../command.ts';

const Campaign = Type.Object({
  name: Type.String(),
  state: Type.String(),
  plan: Type.Object({
    selection: Type.Record(Type.String(), Type.Unknown()),
    reason: Type.String(),
    access: Type.String(),
    gatePercent: Type.Integer(),
    stragglers: Type.String(),
    approval: Type.Boolean(),
  }),
  createdAt: Type.String(),
  createdBy: Type.String(),
  approvedBy: Type.Optional(Type.String()),
  startedAt: Type.Optional(Type.String()),
  startedBy: Type.Optional(Type.String()),
  pausedBecause: Type.Optional(Type.String()),
  endedAt: Type.Optional(Type.String()),
  deadlineAt: Type.Optional(Type.String()),
  wave: Type.Integer(),
  members: Type.Record(Type.String(), Type.Integer()),
  blastRadius: Type.Object({
    devices: Type.Integer(),
    certificates: Type.Integer(),
    profiles: Type.Record(Type.String(), Type.Integer()),
    batches: Type.Record(Type.String(), Type.Integer()),
    batchCount: Type.Integer(),
    canRecover: Type.Integer(),
    cannotRecover: Type.Integer(),
    neverSeen: Type.Integer(),
  }),
  prediction: Type.Optional(
    Type.Object({
      waves: Type.Integer(),
      seconds: Type.Integer(),
      renewalsPerSecond: Type.Optional(Type.Number()),
      reactionSeconds: Type.Optional(Type.Number()),
    }),
  ),
});
export type ShownCampaign = Static<typeof Campaign>;
export const parseCampaign = schemaParser(Campaign, 'internal');

const OPEN = ['waiting', 'called', 'renewed'];

/** How many members are still to follow. */
function openOf({ members }: ShownCampaign): number {
  return OPEN.reduce((sum, state) => sum + (members[state] ?? 0), 0);
}

export function rowOf(campaign: ShownCampaign): string[] {
  const { name, state, members, blastRadius, createdBy } = campaign;
  const numbers = [blastRadius.devices, members.replaced ?? 0, openOf(campaign)].map(String);
  return [name, state, ...numbers, createdBy];
}

/** One line of progress. */
export function lineOf(campaign: ShownCampaign): string {
  const { state, wave, members, blastRadius } = campaign;
  const counts = Object.entries(members).map(([name, count]) => `${count} ${name}`);
  const over = blastRadius.devices - openOf(campaign);
  const percent = blastRadius.devices === 0 ? 100 : Math.floor((100 * over) / blastRadius.devices);
  return `${state}, wave ${wave}: ${percent} % (${counts.join(', ')})`;
}

export function show(shell: Shell, campaign: ShownCampaign): void {
  const { name, plan, blastRadius: radius, prediction, pausedBecause, startedAt, startedBy } = campaign;
  const { deadlineAt, approvedBy, createdAt, createdBy } = campaign;
  shell.out(`${name}: ${lineOf(campaign)}`);
  const selection = Object.entries(plan.selection).map(([key, value]) => `${key} ${String(value)}`);
  shell.out(
    `  selects ${selection.join(', ')}; old credentials: ${plan.access}, taken back for ${plan.reason}`,
  );
  shell.out(`  ${radius.devices} devices, ${radius.certificates} certificates: ${counted(radius.profiles)}`);
  shell.out(
    `  ${radius.canRecover} can come back by their IDevID, ${radius.cannotRecover} cannot; ${radius.neverSeen} were never seen`,
  );
  if (radius.batchCount > 0) {
    const shown = Object.keys(radius.batches).length;
    const more = radius.batchCount > shown ? ` and ${radius.batchCount - shown} more` : '';
    const batches = Object.entries(radius.batches).map(([batch, count]) => `${batch || 'none'} (${count})`);
    shell.out(`  batches: ${batches.join(', ')}${more}`);
  }
  if (prediction && prediction.waves > 0)
    shell.out(
      `  takes about ${duration(prediction.seconds)} in ${prediction.waves} ${prediction.waves === 1 ? 'wave' : 'waves'} (${basisOf(prediction)})`,
    );
  shell.out(`  planned at ${createdAt} by ${createdBy}`);
  if (plan.approval)
    shell.out(approvedBy === undefined ? '  waits for a second operator' : `  approved by ${approvedBy}`);
  if (startedAt !== undefined) shell.out(`  started at ${startedAt} by ${startedBy}`);
  if (deadlineAt !== undefined) shell.out(`  the deadline is ${deadlineAt}; stragglers: ${plan.stragglers}`);
  if (pausedBecause !== undefined) shell.out(`  paused: ${pausedBecause}`);
}

function basisOf({ renewalsPerSecond, reactionSeconds }: NonNullable<ShownCampaign['prediction']>): string {
  const pace =
    renewalsPerSecond === undefined
      ? 'nothing measured of this house yet'
      : `${renewalsPerSecond} renewals a second were seen here`;
  return reactionSeconds === undefined
    ? `${pace}; how soon devices follow is not known`
    : `${pace}; devices followed within ${duration(reactionSeconds)}`;
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
