import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ConnectVerdict } from './decide.ts';
import type { GateConnect } from './gate.ts';
import type { EndCause } from './ports.ts';

export interface GateMetrics {
  readonly registry: Registry;
  observe(attempt: GateConnect, verdict: ConnectVerdict, tookMs: number): void;
  /** A broker that decides by itself tells what it decided: `ok`, or why it denied. */
  told(listener: string, reason: string): void;
  ended(sessions: number, cause: EndCause): void;
  kickFailed(broker: string): void;
  /** The behaviour guard reacted: `held` where its breaker kept it from that. */
  reacted(rule: string, reaction: string): void;
  /** From now on it is shown who is restrained. */
  showBlocks(blocks: () => readonly { readonly reaction: string }[]): void;
}

export interface GateMetricsOptions {
  /** Live sessions of each broker. */
  readonly sessions: () => ReadonlyMap<string, number>;
  /** Of what is known of statuses; undefined where nothing is. */
  readonly statusAgeMs: () => number | undefined;
  /** Where the numbers go; a registry of their own where it is not given. */
  readonly registry?: Registry;
}

/** Numbers of one gate. */
export function createGateMetrics({
  sessions,
  statusAgeMs,
  registry = new Registry(),
}: GateMetricsOptions): GateMetrics {
  const registers = [registry];
  const verdicts = new Counter({
    name: 'birthmark_gate_verdicts_total',
    help: 'Answers to CONNECT, by listener and reason (ok, or why it was denied).',
    labelNames: ['listener', 'reason'],
    registers,
  });
  const unknown = new Counter({
    name: 'birthmark_gate_status_gaps_total',
    help: 'Connections that were allowed although their status was not known (status = "soft").',
    labelNames: ['listener', 'gap'],
    registers,
  });
  const seconds = new Histogram({
    name: 'birthmark_gate_decision_seconds',
    help: 'Time to decide on a CONNECT.',
    buckets: [0.00001, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.1],
    registers,
  });
  const ended = new Counter({
    name: 'birthmark_gate_sessions_ended_total',
    help: 'Live sessions that the gate ended, by cause.',
    labelNames: ['cause'],
    registers,
  });
  const failed = new Counter({
    name: 'birthmark_gate_kick_failures_total',
    help: 'Times that a broker could not be told to end sessions; it is tried again.',
    labelNames: ['broker'],
    registers,
  });
  const reactions = new Counter({
    name: 'birthmark_gate_guard_reactions_total',
    help: 'What the behaviour guard did, by rule and reaction; held: its breaker took it for an outage and nobody was restrained.',
    labelNames: ['rule', 'reaction'],
    registers,
  });
  new Gauge({
    name: 'birthmark_gate_sessions',
    help: 'Live sessions, by broker.',
    labelNames: ['broker'],
    registers,
    collect() {
      this.reset();
      for (const [broker, count] of sessions()) this.set({ broker }, count);
    },
  });
  new Gauge({
    name: 'birthmark_gate_status_age_seconds',
    help: 'Age of what is known of statuses; -1 where nothing is known.',
    registers,
    collect() {
      const ageMs = statusAgeMs();
      this.set(ageMs === undefined ? -1 : ageMs / 1000);
    },
  });
  return {
    registry,
    observe({ listener }, verdict, tookMs) {
      verdicts.inc({ listener, reason: verdict.allow ? 'ok' : verdict.reason });
      if (verdict.allow && verdict.status.gap) unknown.inc({ listener, gap: verdict.status.gap });
      seconds.observe(tookMs / 1000);
    },
    told: (listener, reason) => verdicts.inc({ listener, reason }),
    ended: (sessions, cause) => ended.inc({ cause }, sessions),
    kickFailed: (broker) => failed.inc({ broker }),
    reacted: (rule, reaction) => reactions.inc({ rule, reaction }),
    showBlocks: (blocks) =>
      void new Gauge({
        name: 'birthmark_gate_blocks',
        help: 'Who is restrained by the behaviour guard now, by reaction.',
        labelNames: ['reaction'],
        registers,
        collect() {
          this.reset();
          for (const reaction of ['throttle', 'block', 'quarantine']) this.set({ reaction }, 0);
          for (const { reaction } of blocks()) this.inc({ reaction });
        },
      }),
  };
}
