import { type Campaigns, createCampaigns } from './campaigns.ts';
import type { CampaignRoom } from './room.ts';

/** Campaigns as the API and the engine reach them. */
export interface CampaignDesk {
  readonly room: CampaignRoom;
  readonly acts: Campaigns;
}

export function createCampaignDesk(room: CampaignRoom): CampaignDesk {
  return { room, acts: createCampaigns(room) };
}
