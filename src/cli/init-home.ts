import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { type AuthorityPlan, createHierarchy } from '../ca/hierarchy.ts';
import type { AuthorityRecord } from '../ca/ports.ts';
import { publishedUrls } from '../ca/published-urls.ts';
import { systemClock } from '../core/clock.ts';
import { removeUnfinished, writeDurably } from '../core/durable-file.ts';
import { BirthmarkError } from '../core/errors.ts';
import { createFileSigner, createKeyFile, readKeyFile } from '../keys/file-signer.ts';
import type { AuthorityKeyAlgorithm } from '../keys/key-algorithm.ts';
import { generatePassphraseFile, readPassphrase } from '../keys/passphrase.ts';
import type { Signer } from '../keys/signer.ts';
import { lockHome } from '../store/sqlite/lock-home.ts';
import { openLedger } from '../store/sqlite/open-ledger.ts';
import { type DefaultConfigOptions, defaultConfig } from './config/default-config.ts';
import { type LoadedConfig, loadConfig, parseConfig } from './config/load-config.ts';
import { renderConfig } from './config/render-config.ts';
import type { Home } from './home.ts';
import { ledgerPlace } from './ledger-place.ts';
import { writePublicFiles } from './public-files.ts';
import { passphraseSource, random } from './wire.ts';

export interface InitResult {
  /** False where the home was there already and nothing was changed. */
  readonly created: boolean;
  readonly loaded: LoadedConfig;
  readonly authorities: readonly AuthorityRecord[];
  /** Where a generated passphrase lies, if one was generated now. */
  readonly passphraseFile?: string;
}

/**
 * Makes a home, or finishes one whose making was interrupted: every step leaves what the ones before it made. The
 * hierarchy exists when its transaction is committed; keys made before that are taken up again.
 *
 * @throws BirthmarkError `home-in-use`, `config-invalid`, `ledger-failed` (the ledger of a made home was lost), `passphrase-…`, `key-file-…`
 */
export async function initHome(
  home: Home,
  options: DefaultConfigOptions,
  environment: NodeJS.ProcessEnv,
): Promise<InitResult> {
  mkdirSync(home.path, { recursive: true });
  const lock = lockHome(home.path);
  try {
    for (const part of [home.path, home.keys, home.pki]) removeUnfinished(part);
    if (!existsSync(home.config)) {
      const text = renderConfig(defaultConfig(options));
      // A file that the options make invalid would stay, and every later init would stumble over it.
      parseConfig(text);
      writeDurably(home.config, text, 0o644);
    }
    const loaded = loadConfig(home.config);
    mkdirSync(home.keys, { recursive: true, mode: 0o700 });
    mkdirSync(home.pki, { recursive: true });
    const ledger = openLedger(ledgerPlace(home, loaded));
    try {
      const before = await ledger.read.listAuthorities();
      if (before.length > 0) {
        writePublicFiles(home, before, await ledger.read.listCrossCertificates());
        return { created: false, loaded, authorities: before };
      }
      // These files are written after the hierarchy is in the ledger: this ledger is not the one that had it.
      if (existsSync(home.pem('root'))) {
        throw new BirthmarkError(
          'ledger-failed',
          `${home.pem('root')} is there, but its authority is not in ${home.ledger}: the ledger was lost, and with it every ` +
            'record of what was issued; put back a copy of it, or choose another folder for a new home',
        );
      }
      const { passphrase, file } = obtainPassphrase(home, loaded, environment);
      const authorities = await createHierarchy(planHierarchy(home, loaded, passphrase), {
        ledger,
        urls: publishedUrls(loaded.config.publicUrl),
        now: systemClock(),
        random,
      });
      writePublicFiles(home, authorities, []);
      return { created: true, loaded, authorities, ...(file === undefined ? {} : { passphraseFile: file }) };
    } finally {
      ledger.close();
    }
  } finally {
    lock.release();
  }
}

function obtainPassphrase(
  home: Home,
  loaded: LoadedConfig,
  environment: NodeJS.ProcessEnv,
): { passphrase: string; file?: string } {
  const source = passphraseSource(home, loaded, environment);
  if (source.kind === 'file' && !existsSync(source.path)) {
    mkdirSync(resolve(source.path, '..'), { recursive: true, mode: 0o700 });
    return { passphrase: generatePassphraseFile(source.path), file: source.path };
  }
  return { passphrase: readPassphrase(source) };
}

function planHierarchy(home: Home, { config }: LoadedConfig, passphrase: string): AuthorityPlan[] {
  const names = ['root', 'idevid', 'ldevid', 'service'] as const;
  return names.map((name) => {
    const { organization, commonName, algorithm, validityDays } = config.authorities[name];
    return {
      name,
      issuer: 'root',
      organization,
      commonName,
      validityDays,
      pathLength: name === 'root' ? 1 : 0,
      signer: obtainSigner(home.key(name), algorithm, passphrase),
    };
  });
}

function obtainSigner(path: string, algorithm: AuthorityKeyAlgorithm, passphrase: string): Signer {
  return createFileSigner(
    existsSync(path) ? readKeyFile(path, passphrase) : createKeyFile(path, algorithm, passphrase),
  );
}
