import { writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { lockHome } from '../../src/store/sqlite/lock-home.ts';
import { openLedger } from '../../src/store/sqlite/open-ledger.ts';
import { audit, device, hashOf, NOW, reservation, revocation, serialOf } from './samples.ts';

/** What the other processes of these tests do: `node child.ts ACT PATH NAME`. Each line on stdout is a fact. */
const [act, path = '', name = ''] = process.argv.slice(2);

function say(fact: string | number): void {
  writeSync(1, `${fact}\n`);
}

/** Device, key, certificate and audit record in one work; says the device's name when the ledger has it. */
async function writeForEver(): Promise<void> {
  const ledger = openLedger({ path });
  const writeOne = async (serialNumber: string) => {
    await ledger.write(async (tx) => {
      const [deviceId = 0] = await tx.addDevices([device(serialNumber)]);
      await tx.claimKeys([{ keyHash: hashOf(serialNumber), deviceId }]);
      await tx.reserve([reservation(serialNumber, { deviceId })]);
      await tx.appendAudit([audit(serialNumber)]);
    });
    say(serialNumber);
  };
  for (let at = 0; ; at += 4) await Promise.all([0, 1, 2, 3].map((more) => writeOne(`${name}-${at + more}`)));
}

/** Writes 24 MB of large certificates without a pause and reads some back. */
async function hammer(): Promise<void> {
  const ledger = openLedger({ path, busyTimeoutMs: 20_000 });
  const tbs = Buffer.alloc(8000, 1);
  for (let at = 0; at < 60; at += 1) {
    const names = Array.from({ length: 50 }, (_, row) => `${name}-${at}-${row}`);
    await ledger.write((tx) => tx.reserve(names.map((one) => reservation(one, { tbs }))));
    await ledger.read.findBySerial(serialOf(`${name}-${at}-0`, NOW));
  }
  ledger.close();
  say('done');
}

/** Reserves, revokes and takes a number with a record beside the ledger, one work after another. */
async function recordForEver(): Promise<void> {
  const ledger = openLedger({ path, record: { path: `${dirname(path)}/ledger.record`, clock: () => NOW } });
  for (let at = 0; ; at += 1) {
    const one = `${name}-${at}`;
    const done = await ledger.write(async (tx) => {
      const [deviceId = 0] = await tx.addDevices([device(one, { batch: 'B-7' })]);
      await tx.claimKeys([{ keyHash: hashOf(one), deviceId }]);
      const [id = 0] = await tx.reserve([reservation(one, { deviceId })]);
      await tx.putRevocations([revocation(id, one)]);
      return tx.takeCrlNumber('idevid', 'full');
    });
    say(`${one} ${done}`);
  }
}

async function takeNumbers(): Promise<void> {
  const ledger = openLedger({ path });
  for (let at = 0; at < 50; at += 1) say(await ledger.write((tx) => tx.takeCrlNumber('idevid', 'full')));
  ledger.close();
}

async function holdLedger(): Promise<void> {
  const db = new Database(path);
  db.exec('BEGIN IMMEDIATE');
  say('held');
  await sleep(60_000);
  db.close();
}

async function holdHome(): Promise<void> {
  const lock = lockHome(path);
  say('held');
  await sleep(60_000);
  lock.release();
}

const acts: Readonly<Record<string, () => Promise<void>>> = {
  writeForEver,
  recordForEver,
  hammer,
  takeNumbers,
  holdLedger,
  holdHome,
};
await acts[act ?? '']?.();
