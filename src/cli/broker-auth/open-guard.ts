import type { Logger } from 'pino';
import type { Gate } from '../../broker-auth/gate.ts';
import type { GateMetrics } from '../../broker-auth/gate-metrics.ts';
import { createGuard, type Guard, type Reaction } from '../../broker-auth/guard/behaviour-guard.ts';
import type { GateDesk } from '../../broker-auth/guard/block-desk.ts';
import type { GuardRules } from '../../broker-auth/guard/parse-guard.ts';
import {
  createQuarantineReporter,
  type QuarantineReport,
  type QuarantineResult,
} from '../../broker-auth/guard/quarantine-reporter.ts';
import type { StatusSource } from '../../broker-auth/status-source.ts';
import type { Clock } from '../../core/clock.ts';
import { openBlockFile } from './block-file.ts';

/** What of a process its guards need. */
export interface GuardPlace {
  /** As lists of blocks name the gate. */
  readonly gate: string;
  /** Where the blocks are kept over a restart. */
  readonly blocksFile: string;
  readonly desk: GateDesk;
  /** Where quarantines are told. */
  readonly sendQuarantines: (report: QuarantineReport) => Promise<readonly QuarantineResult[]>;
}

export interface OpenGuardOptions extends GuardPlace {
  readonly rules: GuardRules;
  readonly source: Pick<StatusSource, 'statusOf'>;
  readonly metrics: GateMetrics;
  /** Its sessions are ended. */
  readonly gateOf: () => Pick<Gate, 'endIdentity' | 'endSession'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface OpenGuard {
  readonly guard: Guard;
  /** To be called each second. */
  tick(): void;
  close(): Promise<void>;
}

/** The behaviour guard of a gate, with its log, its numbers, its list on disk, and its word to the authority. */
export function openGuard(options: OpenGuardOptions): OpenGuard {
  const { gate, rules, desk, blocksFile, source, metrics, gateOf, clock, logger, sendQuarantines } = options;
  const file = openBlockFile(blocksFile, () => guard.blocks(clock()), logger);
  const guard: Guard = createGuard({
    rules,
    kept: file.kept,
    onChange: () => file.changed(),
    onReaction: (reaction) => {
      const { rule, who, count, listener, block, held } = reaction;
      const done = block?.reaction ?? rule.reaction;
      metrics.reacted(rule.name, held ? 'held' : done);
      const facts = {
        gate,
        rule: rule.name,
        behaviour: rule.behaviour,
        reaction: done,
        who,
        count,
        listener,
      };
      if (held)
        logger.error(facts, 'so many misbehave that it looks like an outage: none of them is restrained');
      else logger.warn(facts, 'somebody behaves as no device does');
      endSessions(gateOf(), reaction);
    },
  });
  const reporter = createQuarantineReporter({
    guard,
    source,
    clock,
    send: sendQuarantines,
    onResult: ({ who }, result) =>
      logger[result === 'tooMany' ? 'error' : 'warn'](
        { gate, who, result },
        'told the authority of a quarantine',
      ),
    onFault: (error) =>
      logger.warn({ err: error, gate }, 'a quarantine could not be told to the authority; it is told again'),
  });
  metrics.showBlocks(() => guard.blocks(clock()));
  desk.add(gate, guard);
  return {
    guard,
    tick() {
      guard.tick(clock());
      reporter.tick();
    },
    async close() {
      await reporter.stop();
      await file.close();
    },
  };
}

/** Of a device all that it has; where nobody was proven, the session that did it. */
function endSessions(
  gate: Pick<Gate, 'endIdentity' | 'endSession'>,
  { rule: { reaction }, origin: { identity, session }, held }: Reaction,
): void {
  if (held || reaction === 'log' || reaction === 'throttle') return;
  const cause = reaction === 'quarantine' && identity ? 'quarantined' : 'blocked';
  if (identity) gate.endIdentity(identity, cause);
  else if (session) gate.endSession(session, cause);
}
