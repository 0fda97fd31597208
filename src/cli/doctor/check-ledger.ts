import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { FULL } from '../../ca/crl/scope.ts';
import type { LedgerReads } from '../../enroll/ports.ts';
import { checkLedger } from '../../store/sqlite/check-ledger.ts';
import { type RecordReport, verifyRecord } from '../../store/sqlite/record/verify-record.ts';
import { type Check, dateOf, failed, look, ok, warning } from './check.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
/** A clock may be off by so much. */
const STEP_MS = MINUTE_MS;
const MIB = 1024 * 1024;
const LEAST_MIB = 16;
const FEW_MIB = 512;
/** What a certificate takes in the ledger and in the record together, about. */
const CERTIFICATE_OCTETS = 2500;

export interface LedgerToCheck {
  readonly read: LedgerReads;
  readonly paths: { readonly ledger: string; readonly record: string };
  readonly coalesceMs: number;
  readonly serving: boolean;
  readonly full: boolean;
  readonly now: number;
}

/** The ledger by itself, against its record, against the clock; its lists; its disk. */
export async function checkLedgerAndLists(given: LedgerToCheck): Promise<Check[]> {
  const { paths, full } = given;
  const groups = [
    await look('ledger', () => checkReservations(given)),
    full ? await look('ledger file', () => [checkFile(paths.ledger)]) : [],
    await look('record', () => checkRecord(given)),
    await look('clock', () => checkClock(given)),
    await look('lists', () => checkLists(given)),
    await look('disk', () => [...new Set([dirname(paths.ledger), dirname(paths.record)])].map(checkDisk)),
  ];
  return groups.flat();
}

async function checkReservations({ read, serving, now }: LedgerToCheck): Promise<Check[]> {
  const most = 1000;
  const waiting = (await read.findReserved(most)).filter(
    ({ reservedAt }) => reservedAt < now - MINUTE_MS,
  ).length;
  if (waiting === 0) return [ok('ledger', 'every certificate that is reserved is signed')];
  const many = waiting === most ? `${most} or more` : waiting;
  const todo = serving ? 'wait two minutes, then look at the log' : 'start the server: it signs them';
  return [warning('ledger', `${many} certificates are reserved and not signed`, todo)];
}

function checkFile(path: string): Check {
  const found = checkLedger(path);
  return found === 'ok'
    ? ok('ledger file', 'whole')
    : failed('ledger file', `damaged: ${found}`, 'stop the server, then birthmark restore a backup');
}

function checkRecord({ paths, full, serving }: LedgerToCheck): Check[] {
  const report = verifyRecord({ ...paths, full });
  if (report.findings.length > 0)
    return report.findings.map((detail) => ({ name: 'record', state: 'failed', detail }) as const);
  // A server that writes just now is between its two files for a moment.
  if (report.behind > 0 && !serving)
    return [
      warning(
        'record',
        `has ${report.behind} octets that the ledger lacks`,
        'start the server: it does them again',
      ),
    ];
  return [ok('record', describeRecord(report, full))];
}

export function describeRecord(
  { frames, certificates, statusChanges, octets, began, beganAt }: RecordReport,
  full: boolean,
): string {
  const size = `${(octets / MIB).toFixed(1)} MiB`;
  if (!full) return `${size}, agrees with the ledger at its end (--full reads all of it)`;
  const since = beganAt === undefined ? '' : `, begun ${began} on ${dateOf(beganAt)}`;
  return `${size}, ${frames} frames, ${certificates} certificates, ${statusChanges} changes of status: whole, and all in the ledger${since}`;
}

async function checkClock({ read, now }: LedgerToCheck): Promise<Check[]> {
  const reserved = await read.latestReservation();
  const lists = (
    await Promise.all((await read.listAuthorities()).map(({ name }) => read.listCrls(name)))
  ).flat();
  const latest = Math.max(reserved, ...lists.map(({ thisUpdate }) => thisUpdate));
  return [
    latest > now + STEP_MS
      ? failed(
          'clock',
          `says ${dateOf(now)}, and the ledger has seen ${dateOf(latest)}`,
          'set the clock (check the time service)',
        )
      : ok('clock', `says ${dateOf(now)}, after all that the ledger has seen`),
  ];
}

async function checkLists(given: LedgerToCheck): Promise<Check[]> {
  const { read, now, serving } = given;
  const checks: Check[] = [];
  const start = serving
    ? 'look at the log of the server: it tries again every few seconds'
    : 'start the server: it publishes them';
  for (const { name } of await read.listAuthorities()) {
    const lists = await read.listCrls(name);
    const what = `lists of ${name}`;
    const ended = lists.filter(({ nextUpdate }) => now >= nextUpdate);
    const late = lists.filter(
      ({ thisUpdate, nextUpdate }) => now >= (thisUpdate + nextUpdate) / 2 + 2 * MINUTE_MS,
    );
    if (!lists.some(({ scope }) => scope === FULL))
      checks.push(warning(what, 'none is published yet', start));
    else if (ended.length > 0)
      checks.push(
        failed(
          what,
          `${ended.length} of ${lists.length} are past their nextUpdate: who checks them refuses`,
          start,
        ),
      );
    else if (late.length > 0)
      checks.push(warning(what, `${late.length} of ${lists.length} are past half of their time`, start));
    else
      checks.push(
        ok(
          what,
          `${lists.length}, good until ${dateOf(Math.min(...lists.map((one) => one.nextUpdate)))} at least`,
        ),
      );
  }
  const untold = await findUntold(given);
  if (untold.length > 0)
    checks.push(failed('lists and ledger', `${untold.join(', ')} do not tell what was revoked`, start));
  return checks;
}

const LOOKED_AT = 1000;

/** Lists that have not told a change for longer than they may. */
async function findUntold({ read, coalesceMs, now }: LedgerToCheck): Promise<string[]> {
  const untold: string[] = [];
  for (const { authority, scope, changes } of await read.listStaleCrls()) {
    const behind = await read.listStatusChanges(changes, LOOKED_AT);
    const first = behind.find(
      (one) => one.authority === authority && (scope === FULL || String(one.shard) === scope),
    );
    if (first === undefined || now - first.at > coalesceMs + 2 * MINUTE_MS)
      untold.push(`${authority}/${scope}`);
  }
  return untold;
}

function checkDisk(folder: string): Check {
  const { bavail, bsize } = statfsSync(folder);
  const free = (bavail * bsize) / MIB;
  const name = `disk of ${folder}`;
  const detail = `${Math.floor(free)} MiB free, for about ${Math.floor((free * MIB) / CERTIFICATE_OCTETS)} certificates`;
  if (free < LEAST_MIB) return failed(name, detail, 'make room: writes fail when it is full');
  return free < FEW_MIB ? warning(name, detail, 'make room') : ok(name, detail);
}
