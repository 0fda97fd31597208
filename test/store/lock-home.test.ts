import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockHome } from '../../src/store/sqlite/lock-home.ts';
import { coded } from './reading.ts';
import { startChild } from './start-child.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'birthmark-home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

it('is refused while another process has the home, and given once that one was killed', async () => {
  const holder = startChild('holdHome', home);
  expect(await holder.nextFact()).toBe('held');
  expect(() => lockHome(home)).toThrow(coded('home-in-use'));
  await holder.kill();
  lockHome(home).release();
});

it('is refused twice in one process, and given again after its release', () => {
  const first = lockHome(home);
  expect(() => lockHome(home)).toThrow(coded('home-in-use'));
  first.release();
  lockHome(home).release();
});

it('is refused for a home that does not exist', () => {
  expect(() => lockHome(join(home, 'nowhere'))).toThrow(coded('home-missing'));
});
