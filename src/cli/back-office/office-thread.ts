import { parentPort, workerData } from 'node:worker_threads';
import { publishCrls } from '../../ca/publish-crls.ts';
import { publishedUrls } from '../../ca/published-urls.ts';
import { openRoster } from '../../ca/roster.ts';
import { systemClock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { noteSightings } from '../../fleet/note-sightings.ts';
import { createRevoker } from '../../fleet/revoker.ts';
import { createUseNoter } from '../../fleet/rotation/note-use.ts';
import { keepWalShort } from '../../store/sqlite/keep-wal-short.ts';
import { openLedger } from '../../store/sqlite/open-ledger.ts';
import { homeAt } from '../home.ts';
import { createLogger } from '../logger.ts';
import { openSigner } from '../open-signer.ts';
import type { OfficeAnswer, OfficeFailure, OfficeSetup, OfficeTask } from './office-task.ts';

/** Certificates changed at once: nobody else is served here, and each piece has two syncs to the disk. */
const PIECE = 1000;

/** The thread of the back office, see `createBackOffice`. To the ledger it is one more process of the house. */
const setup: OfficeSetup = workerData;
const opened = open(setup);
// Whoever asks is told.
opened.catch(() => undefined);

parentPort?.on('message', (task: OfficeTask) => {
  if (task.kind === 'close') void close();
  else
    perform(task).then(
      (answer) => parentPort?.postMessage(answer),
      (error: unknown) =>
        parentPort?.postMessage({ id: task.id, failed: toFailure(error) } satisfies OfficeAnswer),
    );
});

async function open({ home: folder, recordPath, passphrase, publicUrl, policy, ...rest }: OfficeSetup) {
  const { idevidProfiles } = rest;
  const home = homeAt(folder);
  const logger = createLogger(rest.logLevel);
  const ledger = openLedger({ path: home.ledger, record: { path: recordPath, clock: systemClock } });
  const roster = await openRoster({
    reads: ledger.read,
    signerOf: (record) => openSigner(home, record, passphrase, true),
  });
  const { authorities } = roster;
  const crls = { ledger, authorities, urls: publishedUrls(publicUrl), policy, isAlone: true };
  const revoker = createRevoker({
    ledger,
    crls,
    idevidProfiles,
    clock: systemClock,
    pieceOf: PIECE,
    onUnpublished: (error) =>
      logger.error({ err: error }, 'a revocation is in the ledger and not in its CRL yet; it is tried again'),
  });
  const stopWal = keepWalShort({
    path: home.ledger,
    onError: (error) => logger.error({ err: error }, 'the write-ahead log grows; it is shortened later'),
  });
  const uses = createUseNoter({ policy: rest.rotation, idevidProfiles });
  return {
    roster,
    crls,
    revoker,
    noting: { ledger, authorities, uses, idevidProfiles, clock: systemClock },
    close: () => {
      stopWal();
      ledger.close();
    },
  };
}

async function perform(task: Exclude<OfficeTask, { kind: 'close' }>): Promise<OfficeAnswer> {
  const { roster, crls, revoker, noting } = await opened;
  // There may be new authorities.
  await roster.look();
  const { kind, id } = task;
  if (kind === 'revoke') return { id, revoked: await revoker(task.order, task.actor) };
  if (kind === 'publish') return { id, published: await publishCrls(task.orders, crls, task.now) };
  return { id, noted: await noteSightings(noting, task.sightings, task.actor) };
}

async function close(): Promise<void> {
  try {
    (await opened).close();
  } finally {
    parentPort?.close();
  }
}

function toFailure(error: unknown): OfficeFailure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, stack } = error;
  const ours = error instanceof BirthmarkError && {
    code: error.code,
    ...(error.field !== undefined && { field: error.field }),
  };
  return { message, ...ours, ...(stack !== undefined && { stack }) };
}
