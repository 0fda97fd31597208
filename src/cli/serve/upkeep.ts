import { finishReserved } from '../../ca/issue.ts';
import { publishDueCrls } from '../../ca/publish-crls.ts';
import { keepWalShort } from '../../store/sqlite/keep-wal-short.ts';
import type { House } from '../wire.ts';
import { prepareOcspSigners, prepareTlsCertificate } from './house-options.ts';

/** A full list waits for its coalescing bound and this besides; a list that a crash left behind waits only this. */
const LISTS_EVERY_MS = 5000;
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
  await prepareTlsCertificate(house);
  await prepareOcspSigners(house);
  await publishDue(house);
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
 * @returns stops it
 */
export function keepUp(house: House): () => void {
  const stopWal = keepWalShort({
    path: house.home.ledger,
    onError: (error) =>
      house.logger.error({ err: error }, 'the write-ahead log grows; it is shortened later'),
  });
  const tasks: readonly (readonly [string, number, (house: House) => Promise<unknown>])[] = [
    ['crl', LISTS_EVERY_MS, publishDue],
    ['reservations', MINUTE_MS, finishAbandoned],
    ['tls', HOUR_MS, prepareTlsCertificate],
    ['ocsp', HOUR_MS, prepareOcspSigners],
  ];
  const timers = tasks.map(([task, everyMs, run]) =>
    setInterval(() => {
      run(house).catch((error: unknown) =>
        house.logger.error({ err: error, task }, 'upkeep failed; it is tried again'),
      );
    }, everyMs),
  );
  return () => {
    stopWal();
    for (const timer of timers) clearInterval(timer);
  };
}

async function publishDue({ crls, clock, logger }: House): Promise<void> {
  const published = await publishDueCrls(crls, clock());
  if (published > 0) logger.info({ published }, 'published CRLs');
}
