import { createHash } from 'node:crypto';
import type { Clock } from '../../../src/core/clock.ts';
import { DAY_MS } from '../../house.ts';
import type { Fault } from './faults.ts';

/** What was wrong when a device looked. */
export interface Finding {
  readonly name: string;
  /** Of the story. */
  readonly day: number;
  readonly what: string;
}

/** What happened: counted, and all of it in one digest, by which two stories are the same or are not. */
export interface Chronicle {
  readonly findings: readonly Finding[];
  readonly tally: ReadonlyMap<Fault, number>;
  count(fault: Fault): void;
  note(name: string, what: string): void;
  find(name: string, what: string): void;
  digest(): string;
}

export function openChronicle(clock: Clock): Chronicle {
  const begin = clock();
  const all = createHash('sha256');
  const findings: Finding[] = [];
  const tally = new Map<Fault, number>();
  const note = (name: string, what: string) => all.update(`${clock() - begin} ${name} ${what}\n`);
  return {
    findings,
    tally,
    note,
    count: (fault) => tally.set(fault, (tally.get(fault) ?? 0) + 1),
    find(name, what) {
      findings.push({ name, day: (clock() - begin) / DAY_MS, what });
      note(name, what);
    },
    digest: () => all.copy().digest('hex'),
  };
}
