import Type, { type Static } from 'typebox';
import type { CampaignLook, BlastRadius as Radius } from '../../fleet/campaign/look.ts';
import { CampaignPlanSchema, planOf } from '../../fleet/campaign/plan.ts';
import { CAMPAIGN_STATES, MEMBER_STATES } from '../../fleet/campaign/ports.ts';
import type { GivenPlan } from '../../fleet/campaign/presets.ts';
import { type Selection, SelectionSchema } from '../../fleet/campaign/selection.ts';
import { parseMoment, toDateTime } from './schemas.ts';

const closed = { additionalProperties: false } as const;
const Time = Type.Optional(Type.String({ format: 'date-time' }));
const MOMENTS = ['issuedFrom', 'issuedBefore', 'notSeenSince'] as const;

/** A selection as the API has it: times as RFC 3339 writes them. */
const SelectionText = Type.Object(
  {
    ...SelectionSchema.properties,
    issuedFrom: Type.Optional(
      Type.String({ format: 'date-time', description: 'Issued at this time or later.' }),
    ),
    issuedBefore: Type.Optional(
      Type.String({ format: 'date-time', description: 'Issued before this time.' }),
    ),
    notSeenSince: Type.Optional(
      Type.String({ format: 'date-time', description: 'Not seen in use since, or never.' }),
    ),
  },
  { ...closed, description: 'Which credentials: those that fit all that is said.' },
);

/** What an operator says of a campaign; what is not said is the preset's, or the default. */
export const CampaignBody = Type.Object(
  {
    name: Type.String({
      maxLength: 64,
      description: 'A label of its own: lower-case letters, digits, hyphens.',
    }),
    ...Type.Partial(Type.Omit(CampaignPlanSchema, ['selection'])).properties,
    selection: Type.Optional(SelectionText),
  },
  closed,
);

export const CampaignAnswer = Type.Object({
  name: Type.String(),
  state: Type.Enum([...CAMPAIGN_STATES]),
  plan: Type.Object({ ...CampaignPlanSchema.properties, selection: SelectionText }),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
  plannedAt: Time,
  approvedAt: Time,
  approvedBy: Type.Optional(Type.String()),
  startedAt: Time,
  startedBy: Type.Optional(Type.String()),
  pausedAt: Time,
  pausedBecause: Type.Optional(Type.String()),
  endedAt: Time,
  deadlineAt: Time,
  wave: Type.Integer({ description: 'The wave under way; 0 before the first.' }),
  members: Type.Record(Type.String(), Type.Integer(), {
    description: `How many are ${MEMBER_STATES.join(', ')}.`,
  }),
  blastRadius: Type.Object({
    devices: Type.Integer(),
    certificates: Type.Integer(),
    profiles: Type.Record(Type.String(), Type.Integer()),
    batches: Type.Record(Type.String(), Type.Integer(), { description: 'The 20 largest, by devices.' }),
    batchCount: Type.Integer(),
    canRecover: Type.Integer({
      description: 'Devices with an IDevID that stands: they come back by themselves.',
    }),
    cannotRecover: Type.Integer(),
    neverSeen: Type.Integer({ description: 'Devices none of whose credentials was ever seen in use.' }),
  }),
  prediction: Type.Optional(
    Type.Object(
      {
        waves: Type.Integer(),
        seconds: Type.Integer({ description: 'Until every member that can has followed.' }),
        callingSeconds: Type.Integer(),
        issuingSeconds: Type.Integer(),
        reactingSeconds: Type.Integer(),
        renewalsPerSecond: Type.Optional(
          Type.Number({ description: 'Measured here when there was much to do; absent: never.' }),
        ),
        reactionSeconds: Type.Optional(
          Type.Number({
            description: 'From a call to the first use, in the campaign before; absent: unknown.',
          }),
        ),
      },
      { description: 'What is left takes so long, by the waves, their rate and the measured pace.' },
    ),
  ),
});

export function toGivenPlan({ name: _name, selection, ...plan }: Static<typeof CampaignBody>): GivenPlan {
  return { ...plan, ...(selection && { selection: parseSelection(selection) }) };
}

/** @throws BirthmarkError `bad-request` */
function parseSelection(text: Static<typeof SelectionText>): Selection {
  const moments = MOMENTS.flatMap((name) => {
    const said = text[name];
    return said === undefined ? [] : [[name, parseMoment(said, `selection.${name}`)] as const];
  });
  const { issuedFrom: _from, issuedBefore: _before, notSeenSince: _since, ...rest } = text;
  return { ...rest, ...Object.fromEntries(moments) };
}

export function toCampaignAnswer({
  campaign,
  members,
  blastRadius,
  prediction,
  deadlineAt,
}: CampaignLook): Static<typeof CampaignAnswer> {
  const { name, state, createdBy, approvedBy, startedBy, pausedBecause, wave } = campaign;
  const time = (key: 'plannedAt' | 'approvedAt' | 'startedAt' | 'pausedAt' | 'endedAt') => {
    const at = campaign[key];
    return at === undefined ? {} : { [key]: toDateTime(at) };
  };
  const plan = planOf(campaign);
  return {
    name,
    state,
    plan: { ...plan, selection: toText(plan.selection) },
    createdAt: toDateTime(campaign.createdAt),
    createdBy,
    ...time('plannedAt'),
    ...time('approvedAt'),
    ...(approvedBy !== undefined && { approvedBy }),
    ...time('startedAt'),
    ...(startedBy !== undefined && { startedBy }),
    ...time('pausedAt'),
    ...(pausedBecause !== undefined && { pausedBecause }),
    ...time('endedAt'),
    ...(deadlineAt !== undefined && { deadlineAt: toDateTime(deadlineAt) }),
    wave,
    members: { ...members },
    blastRadius: toRadius(blastRadius),
    ...(prediction && {
      prediction: {
        waves: prediction.waves,
        seconds: Math.ceil(prediction.totalMs / 1000),
        callingSeconds: Math.ceil(prediction.callingMs / 1000),
        issuingSeconds: Math.ceil(prediction.issuingMs / 1000),
        reactingSeconds: Math.ceil(prediction.reactingMs / 1000),
        ...(prediction.pace.renewalsPerSecond !== undefined && {
          renewalsPerSecond: Math.round(prediction.pace.renewalsPerSecond),
        }),
        ...(prediction.pace.reactionMs !== undefined && {
          reactionSeconds: Math.ceil(prediction.pace.reactionMs / 1000),
        }),
      },
    }),
  };
}

function toRadius({ profiles, batches, ...radius }: Radius) {
  return { ...radius, profiles: { ...profiles }, batches: { ...batches } };
}

function toText(selection: Selection): Static<typeof SelectionText> {
  const { issuedFrom, issuedBefore, notSeenSince, ...rest } = selection;
  return {
    ...rest,
    ...(issuedFrom !== undefined && { issuedFrom: toDateTime(issuedFrom) }),
    ...(issuedBefore !== undefined && { issuedBefore: toDateTime(issuedBefore) }),
    ...(notSeenSince !== undefined && { notSeenSince: toDateTime(notSeenSince) }),
  };
}
