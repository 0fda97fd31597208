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
 * `offered`: it was, or is being, shown to somebody. `announced`: who uses it was told of it. `refused-N`: it was refused N times.
 * `given-up`: it was current, and the authority does not take it any more.
 */
export type Mark = 'offered' | 'announced' | 'refused-1' | 'refused-2' | 'given-up';

/**
 * What an agent keeps on disk. `current` is a link to the folder of the credential that works, so that key and certificate
 * change in one step for whoever opens `current/key.pem` and `current/certificate.pem`; `next` is one to the folder of the one that
 * is being obtained. Between any two steps, `current` is whole. Folders that no link names are what a crash left.
 */
export interface StateFolder {
  readonly path: string;
  readonly trustFile: string;
  current(): Slot | undefined;
  next(): Slot | undefined;
  /** A folder for a new credential, which `next` names from now on. */
  begin(): Slot;
  keepChain(slot: Slot, chain: readonly Uint8Array[]): void;
  mark(slot: Slot, mark: Mark): void;
  /** What `next` names is current now. */
  promote(slot: Slot): void;
  dropNext(): void;
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
  const state: StateFolder = {
    path,
    trustFile: at('trust.pem'),
    current: () => linked('current'),
    next: () => linked('next'),
    begin: () => {
      const name = toHex(random(NAME_OCTETS));
      const slot = slotAt(name);
      disk.makeFolder(at(CREDENTIALS));
      disk.makeFolder(slot.folder);
      disk.link(at('next'), join(CREDENTIALS, name));
      return slot;
    },
    keepChain: (slot, chain) => disk.write(join(slot.folder, CERTIFICATE_FILE), pemOf(chain), 0o644),
    mark: (slot, mark) => {
      if (!slot.has(mark)) disk.write(join(slot.folder, mark), '', 0o600);
    },
    promote: (slot) => {
      disk.link(at('current'), join(CREDENTIALS, slot.name));
      disk.remove(at('next'));
    },
    dropNext: () => disk.remove(at('next')),
    tidy: (destroyKey) => {
      removeUnfinished(path);
      const next = state.next();
      if (next && next.name === state.current()?.name) state.dropNext();
      const used = [state.current(), state.next()].flatMap((slot) => (slot ? [slot] : []));
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
