import { resolve } from 'node:path';
import { systemClock } from '../core/clock.ts';
import type { RecordOptions } from '../store/sqlite/record/ledger-record.ts';
import type { LoadedConfig } from './config/load-config.ts';
import type { Home } from './home.ts';

/** Where the ledger of a home is, and the record beside it. */
export function ledgerPlace(
  home: Home,
  { config }: LoadedConfig,
): { readonly path: string; readonly record: RecordOptions } {
  const path = resolve(home.path, config.ledger?.record ?? 'ledger.record');
  return { path: home.ledger, record: { path, clock: systemClock } };
}
