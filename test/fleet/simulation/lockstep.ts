import { setImmediate } from 'node:timers/promises';

/**
 * Lets many lives go on at the same time in an order in which wall time has no part: each goes on until it asks something of the
 * house; then what they asked is done together, so that their writes share transactions as in a server, and each is answered in the
 * order in which it asked.
 */
export interface Lockstep {
  /** Of a life that runs: the only thing that it may wait for. */
  ask<T>(act: () => Promise<T>): Promise<T>;
  run(lives: readonly (() => Promise<void>)[]): Promise<void>;
}

export function openLockstep(): Lockstep {
  let asked: (() => Promise<() => void>)[] = [];
  return {
    ask: (act) =>
      new Promise((resolve, reject) => {
        asked.push(() =>
          act().then(
            (outcome) => () => resolve(outcome),
            (error) => () => reject(error),
          ),
        );
      }),
    async run(lives) {
      const all = Promise.all(lives.map((life) => life()));
      // Where one fails, that is told when the others have come to rest.
      all.catch(() => undefined);
      for (;;) {
        await setImmediate();
        if (asked.length === 0) break;
        const now = asked;
        asked = [];
        for (const answer of await Promise.all(now.map((act) => act()))) answer();
      }
      await all;
    },
  };
}
