import { parseBase64 } from '../../core/bytes.ts';
import type { ReadSnapshot } from './read-snapshot.ts';

/** What a snapshot tells of CAs below the roots, DER; the same list until another snapshot tells otherwise. */
export function knownIntermediates(known: () => ReadSnapshot | undefined): () => readonly Uint8Array[] {
  let told: string | undefined;
  let read: readonly Uint8Array[] = [];
  return () => {
    const texts = known()?.header.intermediates ?? [];
    const latest = texts.join();
    if (latest !== told) {
      told = latest;
      read = texts.map((text) => parseBase64(text, 'intermediates'));
    }
    return read;
  };
}
