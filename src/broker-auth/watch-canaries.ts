import type { CanaryFinding } from './canary.ts';

export interface CanaryWatch {
  /** The last finding; undefined before the first. */
  readonly finding: CanaryFinding | undefined;
  stop(): void;
}

export interface CanaryWatchOptions {
  /** See `probeCanaries`. */
  readonly probe: () => Promise<CanaryFinding>;
  /** From the end of one to the beginning of the next. */
  readonly everyMs: number;
  /** Told each finding, with the one before: `open` is an alarm, whatever was before. */
  readonly onFinding: (finding: CanaryFinding, before: CanaryFinding | undefined) => void;
  readonly onError: (error: unknown) => void;
}

/** Tries the door of a broker again and again, now for the first time. */
export function watchCanaries({ probe, everyMs, onFinding, onError }: CanaryWatchOptions): CanaryWatch {
  let finding: CanaryFinding | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    const found = await probe();
    if (stopped) return;
    const before = finding;
    finding = found;
    onFinding(found, before);
  }

  function run(): void {
    look()
      .catch(onError)
      .finally(() => {
        if (!stopped) timer = setTimeout(run, everyMs).unref();
      });
  }

  run();
  return {
    get finding() {
      return finding;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
