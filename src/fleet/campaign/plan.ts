import Type, { type Static } from 'typebox';
import { REVOCATION_REASONS, type RevocationReason } from '../../ca/revocation/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { isLabel } from '../../core/identifiers.ts';
import { schemaParser } from '../../core/schema.ts';
import { SelectionSchema } from './selection.ts';

const closed = { additionalProperties: false } as const;
const YEAR_SECONDS = 366 * 86_400;

/** What an operator decided before a campaign was planned; it does not change after that. */
export const CampaignPlanSchema = Type.Object(
  {
    preset: Type.Optional(
      Type.Enum(['rotate-ca', 'algorithm-migration', 'batch-recall', 'firmware-key-leak']),
    ),
    selection: SelectionSchema,
    reason: Type.Enum([...REVOCATION_REASONS], {
      description: 'With which the old credentials are taken back (RFC 5280 §5.3.1).',
    }),
    access: Type.Enum(['keep', 'hold', 'revoke'], {
      description:
        'What becomes of the old credentials at once: they stay until they are replaced, or no broker takes them any more and ' +
        'devices come back by their IDevID.',
    }),
    success: Type.Enum(['used', 'issued'], {
      description: 'A member has followed when its new credential was seen in use, or when it was issued.',
    }),
    waveSize: Type.Integer({
      minimum: 0,
      maximum: 100_000_000,
      description: 'Members called in one wave; 0: all.',
    }),
    firstWave: Type.Integer({
      minimum: 0,
      maximum: 100_000_000,
      description: 'Members of the first wave; 0: as the others.',
    }),
    ratePerMinute: Type.Integer({
      minimum: 0,
      maximum: 100_000_000,
      description: 'Members called in a minute; 0: no limit.',
    }),
    gatePercent: Type.Integer({
      minimum: 0,
      maximum: 100,
      description: 'Of a wave, how many must have followed before the next one.',
    }),
    gateWaitSeconds: Type.Integer({
      minimum: 1,
      maximum: YEAR_SECONDS,
      description:
        'After the last call of a wave; where its gate was not passed by then the campaign pauses.',
    }),
    deadlineSeconds: Type.Integer({
      minimum: 0,
      maximum: 10 * YEAR_SECONDS,
      description: 'After the start, pauses left out; 0: none.',
    }),
    stragglers: Type.Enum(['leave', 'revoke', 'quarantine'], {
      description: 'What becomes of members that have not followed at the deadline.',
    }),
    approval: Type.Boolean({ description: 'A second operator must approve before it starts.' }),
    wanted: Type.Object(
      {
        keyAlgorithms: SelectionSchema.properties.keyAlgorithms,
        issuer: SelectionSchema.properties.issuer,
      },
      { ...closed, description: 'What a new credential must be to count.' },
    ),
  },
  closed,
);
export type CampaignPlan = Readonly<Static<typeof CampaignPlanSchema>>;

const parseSchema = schemaParser(CampaignPlanSchema, 'bad-request');

export const DEFAULT_PLAN: Omit<CampaignPlan, 'selection'> = {
  reason: 'superseded',
  access: 'keep',
  success: 'used',
  waveSize: 0,
  firstWave: 0,
  ratePerMinute: 0,
  gatePercent: 0,
  gateWaitSeconds: 86_400,
  deadlineSeconds: 0,
  stragglers: 'leave',
  approval: false,
  wanted: {},
};

/** Reasons with which something may be taken back from its holder for good without a word against its key. */
const MILD: ReadonlySet<RevocationReason> = new Set(['superseded', 'cessationOfOperation']);

/** Whether credentials that are taken back with it are only replaced: nobody else has their keys. */
export function isMild(reason: RevocationReason): boolean {
  return MILD.has(reason);
}

/**
 * Reads a plan, and holds it to the rules that a schema cannot say.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parsePlan(value: unknown): CampaignPlan {
  const plan = parseSchema(value, 'plan');
  const { selection, stragglers, deadlineSeconds, access, reason, gatePercent, waveSize, firstWave } = plan;
  const narrow = Object.keys(selection).filter((name) => name !== 'idevids' && name !== 'namespace');
  if (narrow.length === 0)
    throw refused('selection', 'must say which credentials: by batch, model, issuer, profile, key, …');
  if (stragglers !== 'leave' && deadlineSeconds === 0)
    throw refused('deadlineSeconds', `must be there where stragglers are to be ${stragglers}d`);
  if (gatePercent > 0 && waveSize === 0 && firstWave === 0)
    throw refused('waveSize', 'must be there where waves have a gate');
  if (access === 'revoke' && reason === 'superseded')
    throw refused(
      'reason',
      'must say why they are revoked at once; superseded is for what was replaced already',
    );
  if (access === 'keep' && !isMild(reason) && deadlineSeconds === 0)
    throw refused(
      'deadlineSeconds',
      `must be there: credentials that are taken back for ${reason} cannot be kept until nobody knows when`,
    );
  return plan;
}

/** A campaign's name: how people call it in every command. @throws BirthmarkError `name-invalid` */
export function parseCampaignName(name: string): string {
  if (isLabel(name)) return name;
  throw new BirthmarkError(
    'name-invalid',
    'name must have 1 to 64 lower-case letters, digits and inner hyphens, as in recall-batch-7',
    { field: 'name' },
  );
}

/** The plan of a campaign as the ledger has it. */
export function planOf({ plan }: { readonly plan: string }): CampaignPlan {
  return parseSchema(JSON.parse(plan), 'plan');
}

function refused(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('bad-request', `plan.${field} ${rule}`, { field: `plan.${field}` });
}
