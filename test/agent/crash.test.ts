import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Disk, disk, step } from '../../src/agent/index.ts';
import { DAY_MS } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';
import { shareAgentLab } from './lab.ts';

// Everything on disk goes through `Disk`: here each of its calls is in turn the last that a process does, done or not done.

const lab = await shareAgentLab();

/** The power fails. */
class PowerCut extends Error {}

/** A disk of which the call number `at` is the last: done, or not. Nothing is done after it, whoever asks. */
function dyingDisk(at: number, isDone: boolean): { readonly disk: Disk; readonly calls: () => number } {
  let calls = 0;
  const die = <A extends readonly unknown[]>(work: (...given: A) => void) => {
    return (...given: A) => {
      calls += 1;
      if (calls > at) throw new PowerCut();
      if (calls < at || isDone) work(...given);
      if (calls === at) throw new PowerCut();
    };
  };
  const { write, makeFolder, link, remove } = disk;
  return {
    disk: { write: die(write), makeFolder: die(makeFolder), link: die(link), remove: die(remove) },
    calls: () => calls,
  };
}

const ALL = Number.POSITIVE_INFINITY;

test('a device whose power fails at any step of its first enrollment has one certificate in the end', async () => {
  const count = async (at: number, isDone: boolean) => {
    const serialNumber = `FIRST-${at}-${isDone}-`;
    const settings = await lab.ticket(serialNumber);
    const dying = dyingDisk(at, isDone);
    const device = await lab.device({ settings, disk: dying.disk });
    const cut = await step(device.parts).then(
      () => false,
      (error: unknown) => error instanceof PowerCut,
    );
    const after = await lab.device({ settings, folder: device.folder });
    const had = after.serial();
    await step(after.parts, { now: had === '' });
    expect(after.serial()).not.toBe('');
    expect(await lab.issued(serialNumber)).toBe(1);
    return { cut, calls: dying.calls() };
  };
  const { calls } = await count(ALL, true);
  expect(calls).toBeGreaterThan(8);
  for (let at = 1; at <= calls; at += 1)
    for (const isDone of [false, true]) expect((await count(at, isDone)).cut).toBe(true);
});

test('a device whose power fails at any step of a renewal has a working credential then, and the new one in the end', async () => {
  const serialNumber = 'RENEWS-';
  const settings = await lab.ticket(serialNumber);
  const origin = await lab.device({ settings });
  await step(origin.parts);
  const before = origin.serial();
  lab.house.clock.pass(76 * DAY_MS);
  const renewWith = async (at: number, isDone: boolean) => {
    const folder = join(temporaryFolder(), 'agent');
    cpSync(origin.folder, folder, { recursive: true, verbatimSymlinks: true });
    const issued = await lab.issued(serialNumber);
    const dying = dyingDisk(at, isDone);
    const device = await lab.device({ settings, folder, disk: dying.disk });
    const cut = await step(device.parts).then(
      () => false,
      (error: unknown) => error instanceof PowerCut,
    );
    const after = await lab.device({ settings, folder });
    // Whoever connects now, before the agent has run again, has a key and the certificate for it, which the authority takes.
    const current = after.parts.state.current();
    const chain = current?.chain();
    if (!current || !chain) throw new Error(`after call ${at} there is no credential`);
    const credential = { key: after.parts.keys.open(current.name, current.folder), chain };
    expect(await after.parts.authority.confirm(credential)).toEqual({ kind: 'accepted' });
    const result = await step(after.parts);
    expect(result.outcome === 'renewed' || after.serial() !== before).toBe(true);
    expect(after.serial()).not.toBe(before);
    expect(after.parts.state.next()).toBeUndefined();
    expect(await lab.issued(serialNumber)).toBe(issued + 1);
    return { cut, calls: dying.calls() };
  };
  const { calls } = await renewWith(ALL, true);
  expect(calls).toBeGreaterThan(8);
  for (let at = 1; at <= calls; at += 1)
    for (const isDone of [false, true]) expect((await renewWith(at, isDone)).cut).toBe(true);
});
