import { performance } from 'node:perf_hooks';

/** How far an enrollment is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly refused: number;
  /** Lines that the output had before this run. */
  readonly before: number;
  readonly elapsedMs: number;
}

const TERMINAL_EVERY_MS = 200;
const LOG_EVERY_MS = 10_000;
/** Several requests that fail together are told of once. */
const NOTE_EVERY_MS = 1_000;

/** Shows progress: one line that changes on a terminal, a new line now and then elsewhere; and why it waits. */
export function createProgress(stream: {
  readonly isTTY?: boolean;
  readonly write: (text: string) => unknown;
}): {
  show: (progress: Progress) => void;
  retry: (reason: string, waitMs: number) => void;
  end: () => void;
} {
  const terminal = stream.isTTY === true;
  const everyMs = terminal ? TERMINAL_EVERY_MS : LOG_EVERY_MS;
  let shownAt = 0;
  let open = false;
  let notedAt = Number.NEGATIVE_INFINITY;
  return {
    show: (progress) => {
      if (progress.elapsedMs - shownAt < everyMs) return;
      shownAt = progress.elapsedMs;
      open = terminal;
      stream.write(terminal ? `\r\u001b[K${describe(progress)}` : `${describe(progress)}\n`);
    },
    retry: (reason, waitMs) => {
      if (performance.now() - notedAt < NOTE_EVERY_MS) return;
      notedAt = performance.now();
      const lead = open ? '\n' : '';
      open = false;
      stream.write(`${lead}${reason}; trying again in ${(waitMs / 1000).toFixed(1)} s\n`);
    },
    end: () => {
      if (open) stream.write('\n');
    },
  };
}

function describe({ done, total, refused, before, elapsedMs }: Progress): string {
  const rate = elapsedMs > 0 ? ((done - before) * 1000) / elapsedMs : 0;
  const left = rate > 0 ? describeSeconds((total - done) / rate) : 'unknown time';
  const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
  return `${done} of ${total} (${percent} %), ${Math.round(rate)} a second, ${left} left${refused > 0 ? `, ${refused} refused` : ''}`;
}

function describeSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
