import { describe, expect, test } from 'vitest';
import { createSteadyClock } from '../../src/core/steady-clock.ts';

const DAY = 86_400_000;
const DECADE = 3652 * DAY;

function open() {
  let wall = 1_700_000_000_000;
  let passed = 5;
  const steady = createSteadyClock(
    () => wall,
    () => passed,
  );
  return {
    steady,
    wall: () => wall,
    /** Both clocks go on. */
    pass(ms: number) {
      wall += ms;
      passed += ms;
    },
    /** Somebody sets the wall clock. */
    set(ms: number) {
      wall += ms;
    },
  };
}

describe('a steady clock', () => {
  test.each([DAY, DECADE, 1])('goes on where the wall clock is set back by %i ms', (back) => {
    const { steady, pass, set } = open();
    const before = steady.now();
    pass(1000);
    set(-back);
    pass(1000);
    expect(steady.now() - before).toBe(2000);
  });

  test.each([DAY, DECADE])(
    'goes along where the wall clock is set ahead by %i ms, and stays there',
    (far) => {
      const { steady, pass, set } = open();
      const before = steady.now();
      set(far);
      expect(steady.now() - before).toBe(far);
      set(-far);
      pass(1000);
      expect(steady.now() - before).toBe(far + 1000);
    },
  );

  test('places what the wall clock tells, and nothing behind now', () => {
    const { steady, wall, set } = open();
    expect(steady.now() - steady.of(wall() - 5000)).toBe(5000);
    expect(steady.of(wall() + 5000)).toBe(steady.now());
    // What is heard of anew after the clock was set right is as young as that says.
    set(DECADE);
    steady.now();
    set(-DECADE);
    expect(steady.now() - steady.of(wall())).toBe(0);
  });
});
