import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BirthmarkError } from '../../core/errors.ts';
import type { KnownAuthorities, Restored } from '../../store/sqlite/backup/restore-ledger.ts';
import { lockHome } from '../../store/sqlite/lock-home.ts';
import { putBackFiles } from '../backup/home-files.ts';
import { refuseLostAuthorities } from '../backup/refuse-lost-authorities.ts';
import { type CommonOptions, homeOf, newCommand, repeated, type Shell } from '../command.ts';
import { loadConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';
import { ledgerPlace } from '../ledger-place.ts';

interface RestoreCommandOptions extends CommonOptions {
  readonly beginRecord?: boolean;
  readonly loseAuthority?: readonly string[];
}

export function restoreCommand(shell: Shell): Command {
  return newCommand(
    'restore',
    'put the home of a backup back, with all that the record knows to have come after it',
    'birthmark restore /mnt/safe/birthmark-2026-11-22.backup',
  )
    .argument('[file]', 'a file that backup wrote')
    .option('--begin-record', 'begin a new record: the one before it is lost')
    .option(
      '--lose-authority <name>',
      'go on without an authority that the backup does not know (repeat for more)',
      repeated,
    )
    .addHelpText(
      'after',
      '\nThe ledger that is there is kept beside as ledger.db.before-restore-TIME; files of the home that are there stay. Killed at any\n' +
        'step it can be run again. Not brought back are tokens, tickets, approvals, trusted CAs and operators since the backup.\n' +
        'An authority that was made since the backup comes back from the record, and its key must be in keys/ still.\n' +
        '--begin-record, with a backup or alone for the ledger that is there, is for a record that is lost for good: what came after the\n' +
        'backup is unknown then. It moves the numbers of all CRLs far ahead (above the time in milliseconds), so that none is used\n' +
        'twice, and makes whoever follows the status start afresh. Revoke again what was revoked since.',
    )
    .action((file: string | undefined, options: RestoreCommandOptions) => restore(shell, file, options));
}

interface Outcome extends Restored {
  readonly written?: readonly string[];
  readonly differ?: readonly string[];
  readonly madeAt?: number;
}

async function restore(
  shell: Shell,
  file: string | undefined,
  options: RestoreCommandOptions,
): Promise<void> {
  const home = homeOf(options);
  const { beginRecord = false } = options;
  if (file === undefined && !beginRecord)
    throw new BirthmarkError(
      'bad-request',
      'say which backup to restore, or --begin-record for the ledger that is there',
    );
  if (file !== undefined) mkdirSync(home.path, { recursive: true });
  const lock = lockHome(home.path);
  try {
    const outcome =
      file === undefined ? await renew(home) : await restoreFile(home, resolve(file), beginRecord, options);
    if (options.json) shell.out(JSON.stringify(outcome));
    else tell(shell, home, outcome);
  } finally {
    lock.release();
  }
}

async function renew(home: Home): Promise<Outcome> {
  const { renewRecord } = await import('../../store/sqlite/backup/restore-ledger.ts');
  const { path, record } = ledgerPlace(home, loadConfig(home.config));
  return renewRecord(path, record);
}

async function restoreFile(
  home: Home,
  file: string,
  beginRecord: boolean,
  { loseAuthority = [] }: RestoreCommandOptions,
): Promise<Outcome> {
  const { openBackup } = await import('../../store/sqlite/backup/open-backup.ts');
  const { restoreLedger } = await import('../../store/sqlite/backup/restore-ledger.ts');
  const { files, madeAt } = openBackup(file);
  const { written, differ } = putBackFiles(home, files);
  const { path, record } = ledgerPlace(home, loadConfig(home.config));
  const judge = (known: KnownAuthorities) => refuseLostAuthorities(home, known, loseAuthority);
  const restored = restoreLedger({ backup: file, ledger: path, record, beginRecord, judge });
  return { ...restored, written, differ, madeAt };
}

function tell(shell: Shell, home: Home, outcome: Outcome): void {
  const {
    replayed,
    begun,
    recordAside,
    recordMissing,
    ledgerAside,
    written = [],
    differ = [],
    madeAt,
  } = outcome;
  if (madeAt !== undefined) {
    shell.out(`restored ${home.path} from a backup of ${new Date(madeAt).toISOString()}`);
    if (ledgerAside !== undefined) shell.out(`  the ledger that was there is ${ledgerAside} now`);
    if (written.length > 0) shell.out(`  put back  ${written.join(', ')}`);
    if (differ.length > 0) shell.out(`  left as they were, other than in the backup  ${differ.join(', ')}`);
  }
  const { frames, reservations, statuses, cut } = replayed;
  if (frames > 0)
    shell.out(
      `  from the record  ${reservations} certificates and ${statuses} changes of status that came after the backup`,
    );
  if (begun) {
    shell.out('  began a new record; the numbers of all CRLs go on above the time in milliseconds');
    if (recordAside !== undefined) shell.out(`  the record that was there is ${recordAside} now`);
    shell.note(
      'warning: what was issued and revoked since the ledger was copied is unknown: revoke again what you know of',
    );
  } else if (recordMissing)
    shell.note(
      'warning: the record is not there, so what came after the backup is unknown, and nothing is served: put the record back and start, or ' +
        'begin a new one with birthmark restore --begin-record',
    );
  else if (frames === 0) shell.out('  ledger and record agree: nothing came after');
  if (cut > 0)
    shell.note(
      `warning: the record ended within a frame, and those ${cut} octets were cut off. After a power cut nothing is lost by that; in a copy ` +
        'of the record it may be the last act (an issuance, a revocation): look whether there is a newer copy',
    );
  if (madeAt !== undefined)
    shell.note(
      'note: tokens, tickets, approvals and trusted CAs are as of the backup, but what the record knows to be used up or taken back',
    );
}
