import { styleText } from 'node:util';

/** What the tour says to who watches. */
export interface Stage {
  act(title: string): void;
  say(text: string): void;
  /** Says what must be so, and remembers where it is not. */
  expect(holds: boolean, text: string): void;
  /** What did not go as told. */
  readonly broken: readonly string[];
}

export function openStage(write: (line: string) => void): Stage {
  const broken: string[] = [];
  let acts = 0;
  return {
    broken,
    act(title) {
      acts += 1;
      write('');
      write(styleText('bold', `${acts}  ${title}`));
    },
    say: (text) => write(`   ${text}`),
    expect(holds, text) {
      if (!holds) broken.push(text);
      write(`   ${holds ? styleText('green', 'yes') : styleText('red', 'NO ')}  ${text}`);
    },
  };
}

/** For people: `0.42 s`, `18 ms`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
