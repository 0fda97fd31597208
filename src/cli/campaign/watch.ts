import { setTimeout as sleep } from 'node:timers/promises';
import type { CallApi } from '../api-client.ts';
import type { Shell } from '../command.ts';
import { lineOf, parseCampaign, show } from './show.ts';

const EVERY_MS = 1000;
const OVER = new Set(['planned', 'paused', 'rolled-back', 'done']);

/** Tells of a campaign whenever something changed, until it is over or waits for a person; with JSON a line each. */
export async function watch(shell: Shell, call: CallApi, path: string, json: boolean): Promise<void> {
  for (let before = ''; ; await sleep(EVERY_MS)) {
    const answer = await call('GET', path);
    const campaign = parseCampaign(answer, '');
    const line = lineOf(campaign);
    if (line !== before) {
      if (json) shell.out(JSON.stringify(answer));
      else shell.note(line);
    }
    before = line;
    if (!OVER.has(campaign.state)) continue;
    if (!json) show(shell, campaign);
    return;
  }
}
