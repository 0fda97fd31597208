import { BirthmarkError } from '../../core/errors.ts';
import { type CampaignPlan, DEFAULT_PLAN } from './plan.ts';
import type { Selection } from './selection.ts';

const DAY_SECONDS = 86_400;
const ALGORITHMS = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'] as const;

export type PresetName = NonNullable<CampaignPlan['preset']>;

/** What an operator said: all of it goes before what a preset has. */
export type GivenPlan = Partial<Omit<CampaignPlan, 'selection'>> & { readonly selection?: Selection };

/** A first wave that shows whether it works, then larger ones that wait for it. */
const CAREFUL = { firstWave: 50, waveSize: 1000, gatePercent: 90, gateWaitSeconds: DAY_SECONDS } as const;

/** What each hard day needs, as plans. */
const PRESETS: Readonly<Record<PresetName, Partial<CampaignPlan>>> = {
  // Nobody's key is out: the old ones are good until the new ones work.
  'rotate-ca': { ...CAREFUL, reason: 'superseded', access: 'keep' },
  'algorithm-migration': { ...CAREFUL, reason: 'superseded', access: 'keep' },
  'batch-recall': {
    ...CAREFUL,
    reason: 'superseded',
    access: 'keep',
    deadlineSeconds: 14 * DAY_SECONDS,
    stragglers: 'quarantine',
  },
  // Somebody has the keys: no broker takes them from the first second on, and devices come back as they can.
  'firmware-key-leak': { reason: 'keyCompromise', access: 'revoke' },
};

/**
 * The plan that a preset makes of what was said.
 *
 * @throws BirthmarkError `bad-request` where the preset needs more
 */
export function planFrom(given: GivenPlan): CampaignPlan {
  const { preset, selection = {} } = given;
  const plan = { ...DEFAULT_PLAN, ...(preset && PRESETS[preset]), ...given, selection };
  switch (preset) {
    case 'rotate-ca':
      if (selection.issuer === undefined)
        throw missing(preset, 'selection.issuer', 'the authority whose certificates are to be replaced');
      return plan;
    case 'algorithm-migration': {
      const { keyAlgorithms } = plan.wanted;
      if (!keyAlgorithms) throw missing(preset, 'wanted.keyAlgorithms', 'what keys are to be from now on');
      const others = ALGORITHMS.filter((one) => !keyAlgorithms.includes(one));
      return { ...plan, selection: { keyAlgorithms: others, ...selection } };
    }
    case 'batch-recall':
      if (selection.batch === undefined && selection.model === undefined)
        throw missing(
          preset,
          'selection.batch',
          'the batch (or selection.model, the model) that is recalled',
        );
      return plan;
    default:
      return plan;
  }
}

function missing(preset: PresetName, field: string, what: string): BirthmarkError {
  return new BirthmarkError('bad-request', `the preset ${preset} needs plan.${field}: ${what}`, {
    field: `plan.${field}`,
  });
}
