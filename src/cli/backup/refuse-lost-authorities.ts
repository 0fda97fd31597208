import { existsSync, readdirSync } from 'node:fs';
import { BirthmarkError } from '../../core/errors.ts';
import type { KnownAuthorities } from '../../store/sqlite/backup/restore-ledger.ts';
import type { Home } from '../home.ts';

const LATER_GENERATION = /^([a-z]+-[0-9]+)\.key$/;

/**
 * Refuses a restore that would lose an authority without a word: one that the record tells of and whose key is in no file, and
 * one whose key and certificate are in the home and which the ledger would not know any more.
 *
 * @param accepted names of authorities that may be lost
 * @throws BirthmarkError `backup-invalid`
 */
export function refuseLostAuthorities(
  home: Home,
  { all, fromRecord }: KnownAuthorities,
  accepted: readonly string[],
): void {
  const keyless = fromRecord.filter((name) => !existsSync(home.key(name)));
  if (keyless.length > 0)
    throw new BirthmarkError(
      'backup-invalid',
      `authority ${keyless.join(', ')} was made after this backup, and its key is neither in it nor in ${home.keys}; nothing was done: put ` +
        `${keyless.map((name) => `keys/${name}.key`).join(', ')} back from a newer backup, then say this again`,
    );
  const forgotten = readdirSync(home.keys).flatMap((file) => {
    const name = LATER_GENERATION.exec(file)?.[1];
    // A key without a certificate is of a rotation that was cut short.
    const isMade = name !== undefined && existsSync(home.pem(name));
    return isMade && !all.includes(name) && !accepted.includes(name) ? [name] : [];
  });
  if (forgotten.length === 0) return;
  throw new BirthmarkError(
    'backup-invalid',
    `this backup is older than authority ${forgotten.join(', ')}, and no record tells of it: what it issued could be neither checked nor ` +
      `revoked. Nothing was done: restore a newer backup, or put the record back; to go on without it say ${forgotten
        .map((name) => `--lose-authority ${name}`)
        .join(' ')}`,
  );
}
