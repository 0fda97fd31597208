import type { CertificateFacts } from '../../ca/ports.ts';
import { toHex } from '../../core/bytes.ts';
import { changeStatuses } from '../change-status.ts';
import { gateLimitIncident, MOST_SHUT_OUT, SHUT_OUT_WITHIN_MS } from '../gate-limit.ts';
import { mayMove } from '../life.ts';
import type { FleetTx, Rotation } from '../ports.ts';
import type { NotedBy, UseNoterOptions } from './note-use.ts';

/**
 * Says that two hold an identity, within the unit of work that found it: an incident, the device's rotations stop where they
 * are, and under the policy `hold` its LDevIDs are held until it comes back with its IDevID and a new key, or people decide. Where a
 * gate's word has shut out as many as it may, people are told only.
 */
export async function raiseConflicts(
  tx: FleetTx,
  conflicts: readonly Rotation[],
  { policy, idevidProfiles, actor, place, byGate = false, now }: UseNoterOptions & NotedBy,
): Promise<void> {
  let left = byGate
    ? MOST_SHUT_OUT - (await tx.countConflictQuarantines(actor, now - SHUT_OUT_WITHIN_MS))
    : Number.POSITIVE_INFINITY;
  for (const [deviceId, found] of Map.groupBy(conflicts, (one) => one.deviceId)) {
    const [device] = await tx.findDevicesById([deviceId]);
    if (!device) continue;
    const running = (await tx.findRotationsOf([deviceId])).filter(({ endedAt }) => endedAt === undefined);
    const stopped = new Set([...running, ...found].map(({ id }) => id));
    await tx.endRotations([...stopped], 'conflict', now);
    const certificates = await tx.findFactsByDevices([deviceId]);
    const revocations = await tx.findRevocations(certificates.map(({ id }) => id));
    const serialOf = (id: number) =>
      toHex(certificates.find((one) => one.id === id)?.serial ?? new Uint8Array());
    const [first] = found;
    const subject = `device:${device.namespace}/${device.serialNumber}`;
    const hold = policy.onConflict === 'hold' && left > 0;
    await tx.appendIncidents([
      {
        at: now,
        kind: 'two-holders',
        subject,
        facts: { old: serialOf(first?.oldId ?? 0), new: serialOf(first?.newId ?? 0), place, held: hold },
      },
    ]);
    await tx.appendAudit([
      { at: now, actor, action: 'rotation.conflict', subject, outcome: 'done', facts: { place, held: hold } },
    ]);
    if (!hold || !mayMove(device.state, 'quarantined')) continue;
    const live = certificates.filter(
      (one, at) => isLdevid(one, idevidProfiles) && !revocations[at] && one.notAfter > now,
    );
    await tx.addQuarantine({
      deviceId,
      cause: 'conflict',
      since: now,
      orderedBy: actor,
      held: live.map(({ id }) => id),
    });
    left -= 1;
    if (left === 0) await tx.appendIncidents([gateLimitIncident(actor, now)]);
    const order = { act: 'hold', discoveredAt: now, decidedAt: now, cascade: false } as const;
    await changeStatuses(tx, live, order, idevidProfiles, { actor, by: `conflict:${subject}`, now });
  }
}

function isLdevid({ profile }: CertificateFacts, idevidProfiles: ReadonlySet<string>): boolean {
  return !idevidProfiles.has(profile);
}
