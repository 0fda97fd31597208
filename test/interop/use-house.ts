import { afterAll, afterEach, beforeAll } from 'vitest';
import { type House, type HouseOptions, startHouse } from './house.ts';

/** A house for the tests of a file; where one of them fails, the server's log is shown. */
export function useHouse(options: HouseOptions = {}): () => House {
  let house: House | undefined;
  beforeAll(async () => {
    house = await startHouse(options);
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.log(`birthmark serve wrote:\n${house?.log()}`);
  });
  afterAll(() => house?.stop());
  return () => {
    if (!house) throw new Error('the house stands only while its tests run');
    return house;
  };
}
