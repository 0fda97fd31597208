import { expect, test } from 'vitest';
import { breathe } from '../../src/core/breathe.ts';

/** Takes so many turns, and notes its name in each. */
async function work(name: string, turns: number, seen: string[]): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await breathe();
    seen.push(name);
  }
}

test('long works take turns, and what is no long work comes between any two of them', async () => {
  const seen: string[] = [];
  const works = Promise.all([work('a', 3, seen), work('b', 3, seen), work('c', 3, seen)]);
  let running = true;
  void works.then(() => {
    running = false;
  });
  const others = (async () => {
    while (running) {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push('.');
    }
  })();
  await works;
  await others;
  const text = seen.join('');
  expect(text.replaceAll('.', '')).toBe('abcabcabc');
  expect(text).not.toMatch(/[abc]{2}/);
});
