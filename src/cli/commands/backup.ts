import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type HomeFile, writeBackup } from '../../store/sqlite/backup/write-backup.ts';
import { collectHomeFiles, ownPassphraseFile } from '../backup/home-files.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import { loadConfig } from '../config/load-config.ts';
import { ledgerPlace } from '../ledger-place.ts';
import { programVersion } from '../program-version.ts';

interface BackupCommandOptions extends CommonOptions {
  readonly withPassphrase?: boolean;
  readonly force?: boolean;
}

export function backupCommand(shell: Shell): Command {
  return newCommand(
    'backup',
    'copy the whole home into one file, while it is served or not',
    'birthmark backup /mnt/safe/birthmark-2026-11-22.backup',
  )
    .argument('<file>', 'the file to write')
    .option(
      '--with-passphrase',
      "put keys/passphrase in too: whoever has the file then has the authorities' keys",
    )
    .option('--force', 'replace a file of that name')
    .addHelpText(
      'after',
      '\nIn it: the ledger as of one moment, birthmark.toml, the encrypted keys, the certificates. Not in it: the passphrase, and the\n' +
        'record (ledger.record), which lives on beside the ledger and brings back what came after the backup.',
    )
    .action((file: string, options: BackupCommandOptions) => backup(shell, file, options));
}

function backup(shell: Shell, file: string, options: BackupCommandOptions): void {
  const home = homeOf(options);
  const loaded = loadConfig(home.config);
  const { withPassphrase = false, force = false } = options;
  const passphrase = ownPassphraseFile(home, loaded);
  if (withPassphrase && passphrase === undefined)
    throw new BirthmarkError(
      'passphrase-missing',
      'there is no keys/passphrase to put into the backup: it is given otherwise; keep it yourself, and say backup without --with-passphrase',
    );
  const target = resolve(file);
  const { path, record } = ledgerPlace(home, loaded);
  let files: readonly HomeFile[] = [];
  const written = writeBackup({
    ledger: path,
    target,
    files: () => {
      files = collectHomeFiles(home, withPassphrase);
      return files;
    },
    madeAt: systemClock(),
    program: programVersion(),
    replace: force,
  });
  if (options.json) {
    shell.out(JSON.stringify({ file: target, ...written, files: files.map((one) => one.path) }));
    return;
  }
  const { octets, devices, certificates, revocations, recordSequence } = written;
  const mib = (octets / 1024 / 1024).toFixed(1);
  shell.out(`wrote ${target} (${mib} MiB, mode 0600), read back and found whole`);
  shell.out(`  ledger  ${devices} devices, ${certificates} certificates, ${revocations} revocations`);
  shell.out(`  record  known up to frame ${recordSequence}; it is not in the backup: keep ${record.path}`);
  shell.out(`  files   ${files.map((one) => one.path).join(', ')}`);
  if (withPassphrase) shell.note('warning: the passphrase is in it: whoever has this file has the keys');
  else shell.note('note: the passphrase of the keys is not in it; keep it at another place');
}
