import type { Clock } from '../../core/clock.ts';
import type { StatusSource } from '../status-source.ts';
import type { Guard } from './behaviour-guard.ts';
import type { Block } from './block-list.ts';

/** What came of a quarantine at the authority, as `POST /api/v1/quarantines` says it. */
export const QUARANTINE_RESULTS = ['held', 'already', 'unknown', 'tooMany'] as const;
export type QuarantineResult = (typeof QUARANTINE_RESULTS)[number];

/** What `POST /api/v1/quarantines` takes. */
export interface QuarantineReport {
  readonly devices: readonly {
    readonly issuerKeyId: string;
    readonly serial: string;
    /** RFC 3339. */
    readonly at: string;
    readonly listener: string;
    readonly rule: string;
    readonly behaviour: string;
    readonly count: number;
  }[];
}

export interface QuarantineReporterOptions {
  readonly guard: Pick<Guard, 'blocks' | 'handOver' | 'markTold'>;
  /** Rejects where it did not arrive: it is told again. */
  readonly send: (report: QuarantineReport) => Promise<readonly QuarantineResult[]>;
  readonly source: Pick<StatusSource, 'statusOf'>;
  readonly clock: Clock;
  readonly onResult: (block: Block, result: QuarantineResult) => void;
  readonly onFault: (error: unknown) => void;
}

/** Brings quarantines to the authority, in the background. */
export interface QuarantineReporter {
  /** To be called each second. */
  tick(): void;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

const AT_ONCE = 50;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** A person must look first: that takes a while. */
const TOO_MANY_MS = 600_000;

/**
 * A quarantine is a block of this gate until the authority's hold has come here: then that stands in its place, so that one word
 * (`birthmark device release`) releases the device everywhere. Where the authority does not know the device, the block stays.
 */
export function createQuarantineReporter(options: QuarantineReporterOptions): QuarantineReporter {
  const { guard, send, source, clock, onResult, onFault } = options;
  let sending: Promise<void> | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let notBefore = 0;

  const quarantined = () => guard.blocks(clock()).filter(({ reaction }) => reaction === 'quarantine');

  function handOver(): void {
    for (const { who, credential } of quarantined()) {
      const known = credential && source.statusOf(credential);
      if (known && known.status !== 'good') guard.handOver(who);
    }
  }

  async function sendSome(blocks: readonly Block[]): Promise<void> {
    try {
      const results = await send({ devices: blocks.flatMap(toReport) });
      for (const [at, block] of blocks.entries()) {
        const result = results[at];
        if (result === undefined) continue;
        onResult(block, result);
        if (result !== 'tooMany') guard.markTold(block);
      }
      pauseMs = FIRST_PAUSE_MS;
      notBefore = results.includes('tooMany') ? clock() + TOO_MANY_MS : 0;
    } catch (error) {
      notBefore = clock() + pauseMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      onFault(error);
    }
  }

  return {
    tick() {
      handOver();
      if (sending || clock() < notBefore) return;
      const untold = quarantined().filter(({ told, credential }) => !told && credential);
      if (untold.length === 0) return;
      sending = sendSome(untold.slice(0, AT_ONCE)).finally(() => {
        sending = undefined;
      });
    },
    async stop() {
      await sending;
    },
  };
}

function toReport({
  credential,
  since,
  listener,
  rule,
  behaviour,
  count,
}: Block): QuarantineReport['devices'] {
  if (!credential) return [];
  const { issuerKeyId, serial } = credential;
  return [{ issuerKeyId, serial, at: new Date(since).toISOString(), listener, rule, behaviour, count }];
}
