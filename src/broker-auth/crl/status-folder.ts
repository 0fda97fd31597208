import { hash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { BirthmarkError } from '../../core/errors.ts';
import { replaceFile } from '../replace-file.ts';
import type { ListOutcome, ListSlot, ListStore } from './list-store.ts';

/** What a gate keeps of lists and answers, for its next start. */
export interface StatusFolder {
  /** The latest time that was seen, milliseconds since the epoch; undefined where nothing is known of that. */
  readSeen(): Promise<number | undefined>;
  noteSeen(at: number): Promise<void>;
  /** Offers all lists that are kept: they are verified again. Gives what came of each. */
  loadLists(store: Pick<ListStore, 'offer'>): Promise<readonly ListOutcome[]>;
  /** Puts a list in the place of the one before. */
  keepList(slot: ListSlot, kind: 'base' | 'delta', der: Uint8Array): Promise<void>;
  /** Text that was kept under a name; undefined where there is none. */
  readText(name: string): Promise<string | undefined>;
  keepText(name: string, text: string): Promise<void>;
}

const SEEN = 'clock';
const LIST = /^[0-9a-f]{32}\.crl$/;
const MODE = 0o600;

/** None where there is no folder. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new BirthmarkError('home-unreadable', `folder ${folder} cannot be read`, { cause: error });
  }
}

/**
 * A folder of the gate's own: a file for each list, one that says what time it was last.
 *
 * @throws BirthmarkError `home-unreadable` where it cannot be made
 */
export async function openStatusFolder(folder: string, readOnly = false): Promise<StatusFolder> {
  try {
    if (!readOnly) await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new BirthmarkError('home-unreadable', `folder ${folder} cannot be made`, { cause });
  }
  const at = (name: string) => path.join(folder, name);
  const readText = async (name: string) => {
    try {
      return await readFile(at(name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw new BirthmarkError('home-unreadable', `${at(name)} cannot be read`, { cause: error });
    }
  };
  return {
    readText,
    keepText: (name, text) => replaceFile(at(name), Buffer.from(text), MODE),
    async readSeen() {
      const seen = Date.parse((await readText(SEEN))?.trim() ?? '');
      return Number.isNaN(seen) ? undefined : seen;
    },
    noteSeen: (seen) => replaceFile(at(SEEN), Buffer.from(`${new Date(seen).toISOString()}\n`), MODE),
    async loadLists(store) {
      const outcomes: ListOutcome[] = [];
      for (const name of await namesIn(folder)) {
        if (!LIST.test(name)) continue;
        outcomes.push(await store.offer(await readFile(at(name)), true));
      }
      return outcomes;
    },
    keepList: ({ issuer, scope }, kind, der) =>
      replaceFile(
        at(`${hash('sha256', `${issuer.keyIdText}\n${kind}\n${scope}`).slice(0, 32)}.crl`),
        der,
        MODE,
      ),
  };
}
