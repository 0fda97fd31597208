import type { KeyPolicy } from '../../ca/key-policy/check-public-key.ts';
import type { Actor, AuditReads } from '../../core/audit.ts';
import { breathe } from '../../core/breathe.ts';
import type { Clock } from '../../core/clock.ts';
import type { UnitOfWork } from '../../core/unit-of-work.ts';
import type { CampaignReads } from '../campaign/ports.ts';
import { FINDING_KINDS, type FindingKind, type Selection } from '../campaign/selection.ts';
import type { FleetReads, FleetTx } from '../ports.ts';
import { findDuplicates } from './find-duplicates.ts';
import { judgePrimes } from './judge-primes.ts';
import { judgeSlice } from './judge-slice.ts';
import type { FindingCount, HygieneReads, HygieneScan, HygieneWrites } from './ports.ts';
import type { HygieneLimits } from './settings.ts';

/** What the tests are: another version makes an old scan say less than a new one would. */
const TESTS = 'weak-key/1 shared-prime/1 duplicate-key/1 blocked-key/1 cryptoperiod/1 rotation/1 silence/1';

export interface HygieneRoom {
  readonly ledger: UnitOfWork<
    FleetTx & HygieneWrites,
    FleetReads & HygieneReads & Pick<CampaignReads, 'scanCredentials' | 'newestCertificate'> & IncidentReads
  >;
  readonly limits: HygieneLimits;
  readonly keyLimits: Omit<KeyPolicy, 'allowed'>;
  readonly profiles: ReadonlyMap<string, { readonly kind: string; readonly name: string }>;
  readonly clock: Clock;
}
type IncidentReads = Pick<AuditReads, 'listIncidents'>;

export interface HygieneLine extends FindingCount {
  /** What a campaign takes: `campaign plan --finding KIND`. */
  readonly selection: Selection;
}

export interface HygieneReport {
  /** The scan that was started last; undefined where there was none. */
  readonly scan?: HygieneScan;
  /** Whether its tests are those of this version. */
  readonly isCurrent: boolean;
  /** One for each kind, those of which nothing was found too. */
  readonly lines: readonly HygieneLine[];
}

export interface Hygiene {
  report(): Promise<HygieneReport>;
  /**
   * Looks at every device of the ledger, for some seconds; said again it goes on where it was, whichever process and crash came
   * in between, until the scan has an end.
   *
   * @param afresh begins a new one where the last is at its end; one that is under way goes on
   */
  scan(actor: Actor, afresh: boolean): Promise<HygieneScan>;
  /**
   * Goes on for some seconds with a scan that nobody goes on with: whoever began it stopped asking, or a crash came. One of older
   * tests stays as it is.
   *
   * @param seen what this gave the time before: a scan that is further by now is in somebody's hands
   * @returns the scan that is not at its end yet
   */
  goOn(seen: HygieneScan | undefined): Promise<HygieneScan | undefined>;
}

/** Within a request. */
const SCAN_MS = 10_000;

export function createHygiene(room: HygieneRoom): Hygiene {
  const { ledger, clock } = room;
  return {
    async report() {
      const scan = await ledger.read.latestScan();
      const counts = new Map((await ledger.read.countFindings()).map((count) => [count.kind, count]));
      const line = (kind: FindingKind): HygieneLine => ({
        ...(counts.get(kind) ?? { kind, certificates: 0, devices: 0 }),
        selection: { finding: kind },
      });
      return {
        ...(scan && { scan }),
        isCurrent: scan?.tests === TESTS && scan.endedAt !== undefined,
        lines: FINDING_KINDS.map(line),
      };
    },
    async scan(actor, afresh) {
      let scan = await ledger.read.latestScan();
      if (!scan || scan.tests !== TESTS || (scan.endedAt !== undefined && afresh)) scan = await begin(actor);
      return advance(scan);
    },
    async goOn(seen) {
      const scan = await ledger.read.latestScan();
      if (!scan || scan.tests !== TESTS || scan.endedAt !== undefined) return undefined;
      if (scan.id !== seen?.id || scan.through !== seen.through) return scan;
      const moved = await advance(scan);
      return moved.endedAt === undefined ? moved : undefined;
    },
  };

  async function advance(from: HygieneScan): Promise<HygieneScan> {
    const until = clock() + SCAN_MS;
    let scan = from;
    while (scan.endedAt === undefined && clock() <= until) {
      if (scan.through < scan.lastDevice) await judgeSlice(scan, room);
      else await end(scan);
      await breathe();
      scan = (await ledger.read.latestScan()) ?? scan;
    }
    return scan;
  }

  async function begin(actor: Actor): Promise<HygieneScan> {
    const lastDevice = await ledger.read.newestDevice();
    return ledger.write(async (tx) => {
      const now = clock();
      await tx.appendAudit([
        {
          at: now,
          actor,
          action: 'hygiene.scan',
          subject: 'ledger',
          outcome: 'done',
          facts: { tests: TESTS },
        },
      ]);
      return tx.addScan({ tests: TESTS, startedAt: now, startedBy: actor, lastDevice });
    });
  }

  /** What looks at all keys together. Short beside the rest, so a crash in it begins it anew. */
  async function end(scan: HygieneScan): Promise<void> {
    await findDuplicates(room);
    const primes = await judgePrimes(scan, room);
    await ledger.write((tx) => tx.moveScan(scan.id, { primes, endedAt: clock() }));
  }
}
