import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type AgentParts, type Disk, disk, type ProbeVerdict, step } from '../../src/agent/index.ts';
import { DAY_MS } from '../house.ts';
import { shareAgentLab } from './lab.ts';

// Everything on disk goes through `Disk`: here each of its calls is in turn the last that a process does, done or not done.

const lab = await shareAgentLab();

/** The power fails. */
class PowerCut extends Error {}

interface DyingDisk {
  readonly disk: Disk;
  /** How many there were. */
  readonly calls: () => number;
}

/** A disk of which the call number `at` is the last: done, or not. Nothing is done after it, whoever asks. */
function dyingDisk(at: number, isDone: boolean): DyingDisk {
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

/** Steps a device whose power fails at one of its calls; whether it failed. */
async function stepTo(parts: AgentParts): Promise<boolean> {
  return step(parts).then(
    () => false,
    (error: unknown) => {
      if (error instanceof PowerCut) return true;
      throw error;
    },
  );
}

const refused: ProbeVerdict = { kind: 'refused', detail: 'not today' };

describe('a device whose power fails at any step of a renewal', () => {
  test.each([
    ['that is accepted', [], [false, true]],
    // Nothing happens elsewhere between two calls: what one did is what the next one has not done.
    ['that is refused', [() => Promise.resolve(refused)], [false]],
  ])(
    '%s has a working credential at any time after, is taken for one, and has the new one in the end',
    async (how, probes, ways) => {
      const wrap = () => ({ probes });
      const enroll = async (name: string) => {
        const serialNumber = `RENEWS-${how.length}-${name}-`;
        const settings = await lab.ticket(serialNumber);
        const { folder, parts } = await lab.device({ settings });
        await step(parts);
        return { serialNumber, folder };
      };
      /** Whatever is current is used at once, and again when the old one would be held against the device. */
      const cutAt = async (
        { serialNumber, folder }: Awaited<ReturnType<typeof enroll>>,
        dying: DyingDisk,
      ) => {
        const device = await lab.device({ folder, wrap, disk: dying.disk });
        const before = device.serial();
        const cut = await stepTo(device.parts);
        const after = await lab.device({ folder });
        const [current, previous] = [after.parts.state.current(), after.parts.state.previous()];
        if (current?.has('on-trial')) expect(previous?.has('on-trial')).toBe(false);
        if (probes.length > 0) {
          await step((await lab.device({ folder, wrap })).parts, { now: true });
          expect(after.serial()).toBe(before);
        }
        for (let round = 0; round < 2; round += 1) {
          expect(await lab.use(after)).toEqual({ kind: 'accepted' });
          lab.house.clock.pass(lab.house.rotation.toleranceMs + 1000);
        }
        await step(after.parts);
        expect(after.serial()).not.toBe(before);
        expect(after.parts.state.next()).toBeUndefined();
        expect(after.parts.state.previous()).toBeUndefined();
        expect(readdirSync(join(folder, 'credentials'))).toHaveLength(1);
        expect(await lab.use(after)).toEqual({ kind: 'accepted' });
        expect(await lab.issued(serialNumber)).toBe(2);
        expect(await lab.isTwo(serialNumber)).toBe(false);
        return cut;
      };
      const whole = await enroll('whole');
      lab.house.clock.pass(76 * DAY_MS);
      const counting = dyingDisk(ALL, true);
      await cutAt(whole, counting);
      const calls = counting.calls();
      expect(calls).toBeGreaterThan(8);
      // Each has a life of its own: that two hold an identity is found over time.
      const cuts = [];
      for (let at = 1; at <= calls; at += 1)
        for (const isDone of ways)
          cuts.push({ device: await enroll(`${at}-${isDone}`), dying: dyingDisk(at, isDone) });
      lab.house.clock.pass(76 * DAY_MS);
      for (const { device, dying } of cuts) expect(await cutAt(device, dying)).toBe(true);
    },
    120_000,
  );
});
