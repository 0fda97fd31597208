import { expect, test } from 'vitest';
import { lockState } from '../../src/agent/index.ts';
import { codeOfAsync } from '../house.ts';
import { temporaryFolder } from '../keys/temporary-folder.ts';

test('a state folder is one agent’s at a time, whatever path leads to it, and the next one’s after it', async () => {
  const folder = temporaryFolder();
  const unlock = await lockState(folder);
  expect(await codeOfAsync(lockState(`${folder}/.`))).toBe('home-in-use');
  const other = await lockState(temporaryFolder());
  other();
  unlock();
  (await lockState(folder))();
});
