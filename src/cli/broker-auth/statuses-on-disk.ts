import { openStatuses } from '../../broker-auth/open-statuses.ts';
import { readStored } from '../../broker-auth/status/status-store.ts';
import { tableSource } from '../../broker-auth/status/table-source.ts';
import type { StatusSource } from '../../broker-auth/status-source.ts';
import { systemClock, systemMonotonic } from '../../core/clock.ts';
import type { RandomBytes } from '../../core/random.ts';
import { createSteadyClock } from '../../core/steady-clock.ts';
import type { LoadedGate } from './load-gate.ts';
import { signerTrust } from './open-feed.ts';
import { openStatusFiles } from './status-files.ts';

/**
 * What a gate knows of statuses as far as it lies on its disk; undefined where it has nothing there yet. Nobody is asked, and
 * nothing is written.
 *
 * @throws BirthmarkError `home-unreadable`, `snapshot-refused`, `config-invalid`
 */
export async function statusesOnDisk(
  { config: { authority }, status, at }: LoadedGate,
  random: RandomBytes,
): Promise<readonly StatusSource[] | undefined> {
  const steady = createSteadyClock(systemClock, systemMonotonic);
  const stored =
    authority &&
    (await readStored(openStatusFiles(at(authority.snapshotFile)), {
      trust: signerTrust(authority, at),
      at: systemClock(),
      steady,
    }));
  const feed = stored ? [tableSource(() => stored, steady)] : [];
  if (!status) return stored ? feed : undefined;
  const statuses = await openStatuses({
    folder: status.folder,
    lists: status.lists.map((lists) => ({ ...lists, urls: [] })),
    responders: [],
    sources: feed,
    readOnly: true,
    ...{ clock: systemClock, steady, random },
    onFault: () => undefined,
    onError: () => undefined,
  });
  await statuses.first;
  await statuses.close();
  return [...feed, ...statuses.sources];
}
