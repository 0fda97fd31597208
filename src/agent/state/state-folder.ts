import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import { removeUnfinished } from '../../core/durable-file.ts';
import type { RandomBytes } from '../../core/random.ts';
import { parsePemBlocks, toPem } from '../../x509/pem.ts';
import type { Disk } from './disk.ts';

const NAME_OCTETS = 8;
const CREDENTIALS = 'credentials';
const CERTIFICATE_FILE = 'certificate.pem';

/** One credential's folder. What it holds is read from the disk when it is asked for. */
export interface Slot {
  /** Hexadecimal; its key's name too. */
  readonly name: string;
  readonly folder: string;
  /** DER, its own certificate first; undefined while there is only a key. */
  chain(): readonly [Uint8Array, ...Uint8Array[]] | undefined;
  has(mark: Mark): boolean;
}

/**
 * `on-trial`: it is current, and nobody said yet that it works. `announced`: who uses it was told of it. `refused-N`: it was
 * refused N times.
 */
export type Mark = 'on-trial' | 'announced' | 'refused-1' | 'refused-2';

/**
 * What an agent keeps on disk. `current` is a link to the folder of the credential to use, so that key and certificate
 * change in one step for whoever opens `current/key.pem` and `current/certificate.pem`; `next` is one to the folder of the one that
 * is being obtained, `previous` to that of the one to go back to while `current` is on trial. Between any two steps, `current`
 * is whole. Folders that no link names are what a crash left.
 */
export interface StateFolder {
  readonly path: string;
  readonly trustFile: string;
  current(): Slot | undefined;
  next(): Slot | undefined;
  previous(): Slot | undefined;
  /** A folder for a new credential, which `next` names from now on. */
  begin(): Slot;
  keepChain(slot: Slot, chain: readonly Uint8Array[]): void;
  mark(slot: Slot, mark: Mark): void;
  /** What `next` names is current now, on trial; what was current is kept as `previous`. */
  switchTo(next: Slot): void;
  /** The trial of what is current is over: it works. */
  prove(current: Slot): void;
  /** It is over: it does not. What is `previous` is current again, and to be announced again, and where there is none nothing is. */
  goBack(from: Slot, options: { readonly tryAgain: boolean }): void;
  dropNext(): void;
  /** Who uses what is current is to be told once more. */
  unannounce(): void;
  /** Removes what a crash left and what is not used any more; first the key of each, by its name. */
  tidy(destroyKey: (name: string) => void): void;
  /** DER of the certificates in a file of the folder; none where it is not there. */
  readCertificates(file: CertificateList): readonly Uint8Array[];
  writeCertificates(file: CertificateList, certificates: readonly Uint8Array[]): void;
  readText(file: string): string | undefined;
  writeText(file: string, text: string): void;
}

/** Roots that are trusted; CAs below them. */
export type CertificateList = 'trust.pem' | 'intermediates.pem';

export function openStateFolder(path: string, disk: Disk, random: RandomBytes): StateFolder {
  const at = (name: string) => join(path, name);
  const slotAt = (name: string): Slot => {
    const folder = join(path, CREDENTIALS, name);
    return {
      name,
      folder,
      chain: () => {
        const file = join(folder, CERTIFICATE_FILE);
        if (!existsSync(file)) return undefined;
        const [leaf, ...rest] = parsePemBlocks(readFileSync(file, 'latin1'), ['CERTIFICATE'], file);
        return leaf && [leaf, ...rest];
      },
      has: (mark) => existsSync(join(folder, mark)),
    };
  };
  const linked = (link: string): Slot | undefined => {
    const target = readLink(at(link));
    return target === undefined ? undefined : slotAt(basename(target));
  };
  const point = (link: string, { name }: Slot) => disk.link(at(link), join(CREDENTIALS, name));
  const unmark = (slot: Slot, mark: Mark) => {
    if (slot.has(mark)) disk.remove(join(slot.folder, mark));
  };
  const state: StateFolder = {
    path,
    trustFile: at('trust.pem'),
    current: () => linked('current'),
    next: () => linked('next'),
    previous: () => linked('previous'),
    begin: () => {
      const name = toHex(random(NAME_OCTETS));
      const slot = slotAt(name);
      disk.makeFolder(at(CREDENTIALS));
      disk.makeFolder(slot.folder);
      point('next', slot);
      return slot;
    },
    keepChain: (slot, chain) => disk.write(join(slot.folder, CERTIFICATE_FILE), pemOf(chain), 0o644),
    mark: (slot, mark) => {
      if (!slot.has(mark)) disk.write(join(slot.folder, mark), '', 0o600);
    },
    switchTo: (next) => {
      state.mark(next, 'on-trial');
      unmark(next, 'announced');
      const current = state.current();
      if (current) point('previous', current);
      point('current', next);
      disk.remove(at('next'));
    },
    prove: (current) => {
      unmark(current, 'on-trial');
      disk.remove(at('previous'));
    },
    goBack: (from, { tryAgain }) => {
      if (tryAgain) point('next', from);
      const previous = state.previous();
      if (previous) {
        unmark(previous, 'announced');
        point('current', previous);
      } else disk.remove(at('current'));
      disk.remove(at('previous'));
    },
    unannounce: () => {
      const current = state.current();
      if (current) unmark(current, 'announced');
    },
    dropNext: () => disk.remove(at('next')),
    tidy: (destroyKey) => {
      removeUnfinished(path);
      const current = state.current();
      if (current && state.next()?.name === current.name) state.dropNext();
      if (state.previous() && current?.has('on-trial') !== true) disk.remove(at('previous'));
      const used = [current, state.previous(), state.next()].flatMap((slot) => (slot ? [slot] : []));
      for (const { folder } of used) removeUnfinished(folder);
      const all = existsSync(at(CREDENTIALS)) ? readdirSync(at(CREDENTIALS)) : [];
      for (const name of all.filter((one) => !used.some((slot) => slot.name === one))) {
        destroyKey(name);
        disk.remove(slotAt(name).folder);
      }
    },
    readCertificates: (file) => {
      const text = state.readText(file);
      return text === undefined || text === '' ? [] : parsePemBlocks(text, ['CERTIFICATE'], at(file));
    },
    writeCertificates: (file, certificates) => disk.write(at(file), pemOf(certificates), 0o644),
    readText: (file) => (existsSync(at(file)) ? readFileSync(at(file), 'utf8') : undefined),
    writeText: (file, text) => disk.write(at(file), text, 0o600),
  };
  return state;
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function pemOf(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => toPem('CERTIFICATE', der)).join('');
}
