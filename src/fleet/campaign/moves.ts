import { BirthmarkError } from '../../core/errors.ts';
import type { CampaignRecord, CampaignState } from './ports.ts';

/** What a person can do to a campaign. */
export type CampaignAct = 'approve' | 'start' | 'pause' | 'resume' | 'rollback' | 'drop';

/** In which states each act can be done. The only place that says it. */
const MAY: Readonly<Record<CampaignAct, readonly CampaignState[]>> = {
  approve: ['planned'],
  start: ['planned'],
  pause: ['running'],
  resume: ['paused'],
  rollback: ['running', 'paused'],
  drop: ['planning', 'planned'],
};

/**
 * Refuses an act for which a campaign is in the wrong state, and says who put it there: of two operators the second is told of the first.
 *
 * @throws BirthmarkError `campaign-state`
 */
export function assertMay(act: CampaignAct, campaign: CampaignRecord): void {
  if (MAY[act].includes(campaign.state)) return;
  throw new BirthmarkError(
    'campaign-state',
    `campaign ${campaign.name} ${tellState(campaign)}; ${act} is for one that is ${MAY[act].join(' or ')}`,
  );
}

function tellState({ state, startedAt, startedBy, pausedBecause }: CampaignRecord): string {
  const since =
    startedAt === undefined ? '' : ` (started by ${startedBy} at ${new Date(startedAt).toISOString()})`;
  return `is ${state}${since}${pausedBecause === undefined ? '' : `, because ${pausedBecause}`}`;
}

const GATE = 'the gate of wave ';

/** Why a campaign paused by itself. */
export function gateCause(wave: number, followed: number, size: number, percent: number): string {
  return `${GATE}${wave} stayed shut: ${followed} of ${size} followed in time, ${percent} % were wanted`;
}

export function isGateCause(because: string | undefined): boolean {
  return because?.startsWith(GATE) ?? false;
}
