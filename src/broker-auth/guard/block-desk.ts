import type { Clock } from '../../core/clock.ts';
import type { Guard } from './behaviour-guard.ts';
import type { Block } from './block-list.ts';

/** A block, and the gate that it is of. */
export interface GateBlock extends Block {
  readonly gate: string;
}

/** Who is restrained at the gates of a process, for people. */
export interface BlockDesk {
  /** All in force, the oldest first. */
  list(): readonly GateBlock[];
  /** Lifts what restrains somebody, at every gate; gives what that was. */
  lift(who: string): readonly GateBlock[];
}

/** A desk over gates that may open later. */
export interface GateDesk extends BlockDesk {
  add(gate: string, guard: Guard): void;
}

export function createBlockDesk(clock: Clock): GateDesk {
  const guards = new Map<string, Guard>();
  const of = (gate: string, blocks: readonly Block[]) => blocks.map((block) => ({ gate, ...block }));
  return {
    add: (gate, guard) => void guards.set(gate, guard),
    list: () =>
      [...guards]
        .flatMap(([gate, guard]) => of(gate, guard.blocks(clock())))
        .toSorted((one, other) => one.since - other.since),
    lift: (who) => [...guards].flatMap(([gate, guard]) => of(gate, guard.lift(who))),
  };
}
