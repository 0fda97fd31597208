import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { disk, fetchRoot, type OpenAgent, parseServerUrl, type StepResult, step } from '../../agent/index.ts';
import { proxyOf } from '../../agent/open-agent.ts';
import { systemClock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { toPem } from '../../x509/pem.ts';
import type { Shell } from '../command.ts';
import { readBlocks } from '../input-file.ts';
import { type EnrollOptions, settingsOf } from './agent-options.ts';
import { tellOn, withAgent, writeSettings } from './with-agent.ts';

const TIMEOUT_MS = 30_000;
const LEAST_SLEEP_MS = 500;

/**
 * Writes the settings, gets a root to trust where there is none, and enrolls. Run again it goes on where it was, and where
 * there is a credential already it only takes over the settings.
 *
 * @throws BirthmarkError as `step`; `unavailable` where it is to be tried again later
 */
export async function enrollDevice(
  options: EnrollOptions,
  shell: Shell,
): Promise<'enrolled' | 'was-enrolled'> {
  const settings = settingsOf(options);
  parseServerUrl(settings.url);
  const proxy = proxyOf(settings);
  writeSettings(options.state, settings);
  const trustFile = join(options.state, 'trust.pem');
  const anchors = await givenRoots(options, async (fingerprint) => {
    const { url, label } = settings;
    return fetchRoot(fingerprint, {
      url: parseServerUrl(url),
      timeoutMs: TIMEOUT_MS,
      ...(label !== undefined && { label }),
      ...(proxy && { proxy }),
    });
  });
  if (anchors) disk.write(trustFile, anchors.map((der) => toPem('CERTIFICATE', der)).join(''), 0o644);
  else if (!existsSync(trustFile))
    throw new BirthmarkError(
      'config-invalid',
      'there is no root to trust: give --ca FILE, or --ca-fingerprint SHA256 (birthmark init prints it)',
      { field: 'ca' },
    );
  return withAgent(options.state, shell, tellOn(shell, options.json === true), async (agent) => {
    const current = agent.state.current();
    if (current && !current.has('on-trial') && options.again !== true) return 'was-enrolled';
    const result = await stepUntil(agent, options);
    if (result.outcome === 'renewed') return 'enrolled';
    throw new BirthmarkError(
      'unavailable',
      `not enrolled yet: ${result.problem ?? 'it waits'}; run the same command again, or birthmark agent run`,
    );
  });
}

/** Steps until it is enrolled or the time that was given is over. */
async function stepUntil(agent: OpenAgent, { again, wait = 0 }: EnrollOptions): Promise<StepResult> {
  const deadline = systemClock() + wait * 1000;
  for (;;) {
    const result = await step(agent, again === true ? { by: agent.vouchers() } : { now: true });
    const pause = Math.max(result.wakeAt - agent.time.now(), LEAST_SLEEP_MS);
    if (result.outcome === 'renewed' || systemClock() + pause > deadline) return result;
    await sleep(pause);
  }
}

/** Roots that were named; none where what the state has is to stay. */
async function givenRoots(
  { ca, caFingerprint }: EnrollOptions,
  fetch: (fingerprint: string) => Promise<Uint8Array>,
): Promise<readonly Uint8Array[] | undefined> {
  if (ca !== undefined) return readBlocks(ca, 'CERTIFICATE', { code: 'bad-pem', option: '--ca' });
  return caFingerprint === undefined ? undefined : [await fetch(caFingerprint)];
}
