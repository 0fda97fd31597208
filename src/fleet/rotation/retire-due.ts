import type { CrlRoom } from '../../ca/crl/room.ts';
import type { CertificateFacts } from '../../ca/ports.ts';
import { publishTouchedCrls } from '../../ca/publish-due-crls.ts';
import type { RevocationRecord } from '../../ca/revocation/ports.ts';
import { breathe } from '../../core/breathe.ts';
import type { Clock } from '../../core/clock.ts';
import type { UnitOfWork } from '../../core/unit-of-work.ts';
import { changeStatuses } from '../change-status.ts';
import type { FleetReads, FleetTx, Rotation } from '../ports.ts';
import { settleDevices } from '../settle-devices.ts';
import { findWorth, type Worth } from './find-worth.ts';

export interface RetireOptions {
  readonly ledger: UnitOfWork<FleetTx, FleetReads>;
  readonly crls: CrlRoom;
  readonly idevidProfiles: ReadonlySet<string>;
  /** Not guarded: a clock that went back retires later, and takes nothing from anybody. */
  readonly clock: Clock;
  /** Told why lists could not be published: they are tried again. */
  readonly onUnpublished: (error: unknown) => void;
}

const PIECE = 250;
/** While a successor is held nobody knows which of the two will be good. */
const LOOK_AGAIN_MS = 10 * 60_000;

/**
 * Ends rotations whose time has come: the old certificate is retired as superseded, and with it what was to follow it and was
 * never seen. Whether the new one is good is looked at in the transaction that retires the old one. Killed anywhere, the next
 * run goes on.
 *
 * @returns how many certificates were retired
 */
export async function retireDue(options: RetireOptions): Promise<number> {
  const { ledger, crls, clock, onUnpublished } = options;
  const places = new Map<string, { readonly authority: string; readonly shard: number }>();
  let retired = 0;
  for (;;) {
    const due = await ledger.read.listDueRotations(clock(), PIECE);
    if (due.length === 0) break;
    const changed = await ledger.write((tx) => retirePiece(tx, options));
    retired += changed.length;
    for (const { authority, shard } of changed) places.set(`${authority}/${shard}`, { authority, shard });
    await breathe();
  }
  if (retired > 0) {
    try {
      await publishTouchedCrls({ places: [...places.values()], changed: retired }, crls, clock);
    } catch (error) {
      onUnpublished(error);
    }
  }
  return retired;
}

type Fate = 'retire' | 'end' | 'wait';

async function retirePiece(
  tx: FleetTx,
  { idevidProfiles, clock, crls }: RetireOptions,
): Promise<readonly CertificateFacts[]> {
  const now = clock();
  const due = await tx.listDueRotations(now, PIECE);
  const devices = [...new Set(due.map(({ deviceId }) => deviceId))];
  const certificates = new Map((await tx.findFactsByDevices(devices)).map((one) => [one.id, one]));
  const ids = due.flatMap(({ oldId, newId }) => [oldId, newId]);
  const revocations = new Map(
    (await tx.findRevocations(ids)).flatMap((one) => (one ? [[one.id, one] as const] : [])),
  );
  const successors = due.flatMap(({ newId }) => certificates.get(newId) ?? []);
  const worth = await findWorth(tx, successors, crls.authorities);
  const fates = Map.groupBy(due, (rotation): Fate => fateOf(rotation, revocations, worth));
  const idsOf = (fate: Fate) => (fates.get(fate) ?? []).map(({ id }) => id);
  await tx.endRotations(idsOf('end'), 'ended', now);
  await tx.postponeRotations(idsOf('wait'), now + LOOK_AGAIN_MS);
  const over = fates.get('retire') ?? [];
  const oldIds = new Set(over.map(({ oldId }) => oldId));
  const unseen = (await tx.findRotationsOf(over.map(({ deviceId }) => deviceId))).filter(
    ({ oldId, state }) => state === 'open' && oldIds.has(oldId),
  );
  // Before the certificates: a rotation of which one is revoked would count as broken.
  await tx.endRotations([...idsOf('retire'), ...unseen.map(({ id }) => id)], 'retired', now);
  const plan = await changeStatuses(
    tx,
    [...oldIds, ...unseen.map(({ newId }) => newId)].flatMap((id) => certificates.get(id) ?? []),
    { act: 'revoke', reason: 'superseded', discoveredAt: now, decidedAt: now, cascade: false },
    idevidProfiles,
    { actor: 'system', by: 'rotation', now },
  );
  await settleDevices(tx, devices, { idevidProfiles, actor: 'system', cause: 'rotation', now });
  return plan.change.map(({ certificate }) => certificate);
}

function fateOf(
  { state, oldId, newId }: Rotation,
  revocations: ReadonlyMap<number, RevocationRecord>,
  worth: ReadonlyMap<number, Worth>,
): Fate {
  const [old, successor] = [revocations.get(oldId), revocations.get(newId)];
  // Open: the old one has ended by itself, and nobody has seen the new one.
  if (state === 'open' || (old && !old.held)) return 'end';
  if (successor?.reason === 'superseded') return 'retire';
  if (successor) return successor.held ? 'wait' : 'end';
  const itself = worth.get(newId) ?? 'good';
  if (itself === 'good') return 'retire';
  return itself === 'held' ? 'wait' : 'end';
}
