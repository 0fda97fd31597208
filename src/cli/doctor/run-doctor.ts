import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { type Clock, systemClock } from '../../core/clock.ts';
import { readPassphrase } from '../../keys/passphrase.ts';
import { readLedger } from '../../store/sqlite/read-ledger.ts';
import { DEFAULT_COALESCE_SECONDS } from '../config/default-config.ts';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import type { Home } from '../home.ts';
import { ledgerPlace } from '../ledger-place.ts';
import { passphraseSource } from '../wire.ts';
import { type Check, failed, look, ok } from './check.ts';
import { checkGenerations } from './check-generations.ts';
import { checkKeys } from './check-keys.ts';
import { checkLedgerAndLists } from './check-ledger.ts';

const SECOND_MS = 1000;

/** Looks at all of a home and changes nothing, whether it is served or not. */
export async function runDoctor(
  home: Home,
  environment: NodeJS.ProcessEnv,
  full: boolean,
  clock: Clock = systemClock,
): Promise<Check[]> {
  const serving = await isServed(home.socket);
  const checks: Check[] = [ok('server', serving ? 'runs' : 'does not run')];
  let loaded: LoadedConfig | undefined;
  const configuration = await look('configuration', () => {
    loaded = loadConfig(home.config);
    return [ok('configuration', `${home.config} is sound`)];
  });
  checks.push(...configuration);
  if (!loaded) return checks;
  if (!existsSync(home.ledger)) {
    checks.push(failed('ledger', `${home.ledger} is not there`, 'restore a backup: birthmark restore FILE'));
    return checks;
  }
  checks.push(
    ...(await look('ledger', () => checkOpened(home, loaded, { environment, serving, full, now: clock() }))),
  );
  return checks;
}

async function checkOpened(
  home: Home,
  loaded: LoadedConfig | undefined,
  {
    environment,
    serving,
    full,
    now,
  }: { environment: NodeJS.ProcessEnv; serving: boolean; full: boolean; now: number },
): Promise<readonly Check[]> {
  if (!loaded) return [];
  // Without its record: what is wrong between the two is to be told, not refused.
  const ledger = readLedger(home.ledger);
  try {
    const authorities = await ledger.read.listAuthorities();
    if (authorities.length === 0)
      return [failed('ledger', 'has no authorities', 'run birthmark init, or restore a backup')];
    const { coalesceSeconds = DEFAULT_COALESCE_SECONDS } = loaded.config.crl;
    const { path, record } = ledgerPlace(home, loaded);
    const keys = await look('passphrase', () => {
      const passphrase = readPassphrase(passphraseSource(home, loaded, environment));
      return checkKeys({ home, loaded, authorities, passphrase, now });
    });
    const rest = await checkLedgerAndLists({
      read: ledger.read,
      paths: { ledger: path, record: record.path },
      coalesceMs: coalesceSeconds * SECOND_MS,
      serving,
      full,
      now,
    });
    return [...keys, ...checkGenerations(authorities, now), ...rest];
  } finally {
    ledger.close();
  }
}

/** Whether somebody answers on the socket of a home: a killed server leaves its file. */
function isServed(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}
