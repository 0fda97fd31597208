import type { IdentityRequest, Judged } from './judge-identities.ts';
import { stateAfterIssue } from './life.ts';
import type { DeviceMove, DeviceState, FleetTx, NewDevice } from './ports.ts';
import type { Successions } from './rotation/note-issued.ts';

/** Adds the devices that are new, moves on those that are known, and returns every id in order. */
export async function recordDevices(
  tx: FleetTx,
  granted: readonly Judged[],
  successions: Successions,
  now: number,
): Promise<{ readonly ids: readonly number[]; readonly moved: ReadonlyMap<Judged, DeviceState> }> {
  const fresh: NewDevice[] = [];
  for (const { request, device } of granted) if (!device) fresh.push(newDevice(request, now));
  const added = await tx.addDevices(fresh);
  let next = 0;
  const ids: number[] = [];
  const moved = new Map<Judged, DeviceState>();
  const moves: DeviceMove[] = [];
  for (const [at, one] of granted.entries()) {
    const { request, device, verdict } = one;
    if (!device) {
      ids.push(added[next] ?? 0);
      next += 1;
      continue;
    }
    ids.push(device.id);
    const { kind } = request.prepared.profile;
    const to = stateAfterIssue(device.state, {
      kind: kind === 'idevid' ? kind : 'ldevid',
      rotates: successions.of[at]?.old !== undefined,
    });
    if (to !== device.state) {
      moves.push({ deviceId: device.id, to });
      moved.set(one, to);
    }
    if (verdict.kind === 'issue' && verdict.usesRebirth) await tx.setRebirthAllowed(device.id, false);
  }
  if (moves.length > 0) await tx.moveDevices(moves);
  return { ids, moved };
}

function newDevice({ device, model, batch, hardware, prepared }: IdentityRequest, now: number): NewDevice {
  return {
    namespace: device.namespace,
    serialNumber: device.serialNumber,
    ...(model === undefined ? {} : { model }),
    ...(batch === undefined ? {} : { batch }),
    ...(hardware === undefined ? {} : { hardware }),
    state: prepared.profile.kind === 'idevid' ? 'manufactured' : 'enrolled',
    createdAt: now,
  };
}
