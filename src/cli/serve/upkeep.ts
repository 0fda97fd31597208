import { finishReserved } from '../../ca/issue.ts';
import { publishDueCrls } from '../../ca/publish-due-crls.ts';
import { BEAT_MS, campaignBeat } from '../../fleet/campaign/engine.ts';
import { retireDue } from '../../fleet/rotation/retire-due.ts';
import { settleReplayed } from '../../fleet/settle-devices.ts';
import { keepWalShort } from '../../store/sqlite/keep-wal-short.ts';
import type { House } from '../wire.ts';
import { prepareOcspSigners, prepareTlsCertificate } from './house-options.ts';
import { publishAuthorities } from './publish-authorities.ts';
import { repeat } from './repeat.ts';

/** A full list waits for its coalescing bound and this besides; a list that a crash left behind waits only this. */
const LISTS_EVERY_MS = 5000;
/** A grace ends so much late at most. */
const ROTATIONS_EVERY_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Issuance takes milliseconds: a reservation older than this belongs to a process that is gone. */
const ABANDONED_MS = 10_000;

/** What must be done before anyone is served: mend what a crash left, be reachable by TLS, have every list published. */
export async function prepareToServe(house: House): Promise<void> {
  const { ledger, authorities, clock, logger } = house;
  // Whatever its time: the clock that reserved may have been a little ahead of this one.
  const finished = await finishReserved(ledger, authorities, clock, Number.POSITIVE_INFINITY);
  if (finished > 0) logger.warn({ finished }, 'signed certificates that a crash had left reserved');
  await settle(house);
  await prepareTlsCertificate(house);
  await prepareOcspSigners(house);
  await publishDue(house);
  await publishAuthorities(house, 0);
}

/** Signs what a process that died has left reserved. */
export async function finishAbandoned(house: House): Promise<void> {
  const { ledger, authorities, clock, logger } = house;
  const finished = await finishReserved(ledger, authorities, clock, clock() - ABANDONED_MS);
  if (finished > 0)
    logger.warn({ finished }, 'signed certificates that a process that died had left reserved');
}

/**
 * What must be done again and again, by one process of the house only.
 *
 * @returns stops it, and resolves when nothing of it runs any more
 */
export function keepUp(house: House): () => Promise<void> {
  const stopWal = keepWalShort({
    path: house.home.ledger,
    isDoneElsewhere: () => house.office?.isOpen() ?? false,
    onError: (error) =>
      house.logger.error({ err: error }, 'the write-ahead log grows; it is shortened later'),
  });
  const tasks: readonly (readonly [string, number, (house: House) => Promise<unknown>])[] = [
    ['crl', LISTS_EVERY_MS, publisher(house)],
    ['campaigns', BEAT_MS, campaignBeat(house.campaigns.room)],
    ['reservations', MINUTE_MS, finishAbandoned],
    ['authorities', MINUTE_MS, (house) => publishAuthorities(house)],
    ['states', MINUTE_MS, settle],
    ['hygiene', MINUTE_MS, hygienist()],
    ['rotations', ROTATIONS_EVERY_MS, retire],
    ['tls', HOUR_MS, prepareTlsCertificate],
    ['ocsp', HOUR_MS, prepareOcspSigners],
  ];
  const stops = tasks.map(([task, everyMs, run]) =>
    repeat(
      () => run(house),
      everyMs,
      (error) => house.logger.error({ err: error, task }, 'upkeep failed; it is tried again'),
    ),
  );
  return async () => {
    stopWal();
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** Retires the certificates whose successors were seen long enough. */
async function retire(house: House): Promise<void> {
  const { ledger, crls, issuing, wallClock, logger, countRetired } = house;
  const { idevidProfiles } = issuing;
  const retired = await retireDue({
    ...{ ledger, crls, idevidProfiles, clock: wallClock },
    onUnpublished: (error) =>
      logger.error(
        { err: error },
        'retired certificates are in the ledger and not in their CRLs yet; it is tried again',
      ),
  });
  if (retired > 0) logger.info({ retired }, 'retired certificates that others took the place of');
  countRetired(retired);
}

/** Works out the states of devices that the record brought back. */
async function settle({ ledger, issuing, wallClock, logger }: House): Promise<void> {
  const settled = await settleReplayed(ledger, issuing.idevidProfiles, wallClock());
  if (settled > 0) logger.info({ settled }, 'worked out the states of devices');
}

/** Brings a scan of keys to its end that whoever began it has left. */
function hygienist(): (house: House) => Promise<void> {
  let seen: Awaited<ReturnType<House['hygiene']['goOn']>>;
  return async ({ hygiene, logger }) => {
    const before = seen;
    seen = await hygiene.goOn(before);
    if (before && !seen)
      logger.info({ startedAt: new Date(before.startedAt) }, 'the scan of keys is at its end');
  };
}

/** Publishes what is due. Where statuses changed since the time before, an act may be under way. */
function publisher(house: House): () => Promise<void> {
  const look = () => house.ledger.read.lastStatusChange();
  let before = look();
  // Whoever looks again says so.
  before.catch(() => undefined);
  return async () => {
    const last = look();
    const acting = (await before) !== (await last);
    before = last;
    await publishDue(house, acting);
  };
}

/** By the clock of the wall: one that went back stops issuance, and must not keep a revocation from being told. */
async function publishDue({ crls, wallClock, logger }: House, acting = false): Promise<void> {
  const begun = wallClock();
  const published = await publishDueCrls(crls, begun, { acting });
  if (published > 0) logger.info({ published, milliseconds: wallClock() - begun }, 'published CRLs');
}
