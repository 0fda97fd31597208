import { breathe } from '../../core/breathe.ts';
import type { CrlBase, CrlFacts } from './ports.ts';
import type { CrlRoom } from './room.ts';
import type { SignedList } from './sign-list.ts';

/** Lists that are published in one step, or not at all. */
export interface Publication {
  readonly lists: readonly SignedList[];
  /** The full list among them becomes a base of deltas; older ones below that number are forgotten. */
  readonly newBase?: { readonly base: CrlBase; readonly forgetBelow: number };
}

export interface ListWriter {
  /** Writes it now or with the next ones. */
  add(publication: Publication): Promise<void>;
  /** Writes what waits, and notes what was published for the first time. */
  finish(): Promise<void>;
}

/** Octets of lists that may wait to be written in one transaction; larger ones are written in parts of so many. */
const WRITE_TOGETHER = 1024 * 1024;
/** A multiple of 48, which is a line of PEM: whoever writes PEM of a piece needs nothing of its neighbours. */
const PIECE = 48 * 5461;
const PIECES_TOGETHER = 4;
const NOTE_AT_ONCE = 1000;

/**
 * Writes lists into the ledger: small ones together, with all that goes with them, in one transaction; large ones ahead and in
 * parts, so that others write meanwhile.
 */
export function createListWriter({ ledger }: Pick<CrlRoom, 'ledger'>, now: number): ListWriter {
  let waiting: Publication[] = [];
  let octets = 0;
  /** Rows whose certificates lists had for the first time. */
  let firstListed: number[] = [];

  async function write(): Promise<void> {
    const publications = waiting;
    [waiting, octets] = [[], 0];
    if (publications.length === 0) return;
    const lists = publications.flatMap((one) => one.lists);
    for (const one of lists) if (isLarge(one)) await writeAhead(one.record);
    // All lists' together and in order: neighbours share a page, of whichever shard they are.
    for (const one of lists) for (const id of one.firstListed) firstListed.push(id);
    const noted = firstListed.length <= NOTE_AT_ONCE ? takeNoted() : [];
    const withMore = await ledger.write(async (tx) => {
      for (const { lists: together, newBase } of publications) {
        let isPublished = true;
        for (const list of together) {
          const { crl, ...facts } = list.record;
          isPublished = (await tx.publishCrl(isLarge(list) ? facts : { ...facts, crl })) && isPublished;
        }
        if (newBase && isPublished) await tx.addCrlBase(newBase.base, newBase.forgetBelow);
      }
      const more: CrlFacts[] = [];
      for (const { record } of lists)
        if ((await tx.dropCrlPieces(record.authority, record.scope, PIECES_TOGETHER)) === PIECES_TOGETHER)
          more.push(record);
      if (noted.length > 0) await tx.notePublished(noted, now);
      return more;
    });
    for (const facts of withMore) await dropOld(facts);
  }

  async function writeAhead({ crl, ...facts }: SignedList['record']): Promise<void> {
    for (let at = 0, piece = 0; at < crl.length; at += PIECES_TOGETHER * PIECE, piece += PIECES_TOGETHER) {
      const pieces = Array.from({ length: PIECES_TOGETHER }, (_, one) =>
        crl.subarray(at + one * PIECE, at + (one + 1) * PIECE),
      ).filter(({ length }) => length > 0);
      await ledger.write((tx) => tx.addCrlPieces(facts, piece, pieces));
      await breathe();
    }
  }

  async function dropOld({ authority, scope }: CrlFacts): Promise<void> {
    while (
      (await ledger.write((tx) => tx.dropCrlPieces(authority, scope, PIECES_TOGETHER))) === PIECES_TOGETHER
    )
      await breathe();
  }

  function takeNoted(): readonly number[] {
    const taken = [...new Set(firstListed)].sort((a, b) => a - b);
    firstListed = [];
    return taken;
  }

  return {
    async add(publication) {
      waiting.push(publication);
      for (const { record } of publication.lists) octets += record.crl.length;
      if (octets >= WRITE_TOGETHER) await write();
    },
    async finish() {
      await write();
      const noted = takeNoted();
      for (let at = 0; at < noted.length; at += NOTE_AT_ONCE) {
        await ledger.write((tx) => tx.notePublished(noted.slice(at, at + NOTE_AT_ONCE), now));
        await breathe();
      }
    },
  };
}

function isLarge({ record }: SignedList): boolean {
  return record.crl.length > WRITE_TOGETHER;
}
