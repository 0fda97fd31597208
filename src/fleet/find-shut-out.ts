import type { CertificateFacts } from '../ca/ports.ts';
import type { RevocationRecord } from '../ca/revocation/ports.ts';
import { mayCome, type Way } from './life.ts';
import type { DeviceRecord, FleetReads } from './ports.ts';

interface ShutOutOptions {
  readonly way: Way;
  readonly idevidProfiles: ReadonlySet<string>;
}

/** The devices whose state does not let them come by this way. The ledger is asked for those in quarantine only. */
export async function findShutOut(
  tx: Pick<FleetReads, 'findQuarantine'>,
  devices: readonly (DeviceRecord | undefined)[],
  byDevice: ReadonlyMap<number | null, readonly CertificateFacts[]>,
  revocations: ReadonlyMap<number, RevocationRecord>,
  { way, idevidProfiles }: ShutOutOptions,
): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (const device of devices) {
    if (!device) continue;
    const { id, state, rebirthAllowed } = device;
    const idevids = (byDevice.get(id) ?? []).filter(({ profile }) => idevidProfiles.has(profile));
    const idevidCompromised =
      idevids.some((one) => revocations.get(one.id)?.reason === 'keyCompromise') &&
      idevids.every((one) => revocations.has(one.id));
    const cause = state === 'quarantined' ? (await tx.findQuarantine(id))?.cause : undefined;
    if (!mayCome(state, way, { idevidCompromised, rebirthAllowed, ...(cause && { cause }) })) found.add(id);
  }
  return found;
}
