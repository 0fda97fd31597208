import { Counter, Gauge, type Registry } from 'prom-client';
import type { Clock } from '../core/clock.ts';
import type { MosquittoHealth } from './adapters/mosquitto/mosquitto-gate.ts';
import type { CanaryFinding } from './canary.ts';

export interface MosquittoMetrics {
  kicked(cause: string): void;
}

export interface MosquittoMetricsOptions {
  readonly registry: Registry;
  readonly broker: string;
  readonly health: () => MosquittoHealth;
  /** Undefined where no canaries are sent, or none has come back yet. */
  readonly finding: () => CanaryFinding | undefined;
  readonly clock: Clock;
}

const FINDINGS: readonly CanaryFinding[] = ['good', 'open', 'shut', 'unreachable'];

/** Numbers of one Mosquitto, beside those of its gate. */
export function createMosquittoMetrics(options: MosquittoMetricsOptions): MosquittoMetrics {
  const { registry, broker, health, finding, clock } = options;
  const registers = [registry];
  const kicks = new Counter({
    name: 'birthmark_gate_plugin_kicks_total',
    help: "Sessions that Mosquitto's plugin ended, by what it says of why.",
    labelNames: ['broker', 'cause'],
    registers,
  });
  new Gauge({
    name: 'birthmark_gate_plugin_connected',
    help: "Whether Mosquitto's plugin is connected.",
    labelNames: ['broker'],
    registers,
    collect() {
      this.set({ broker }, health().connected ? 1 : 0);
    },
  });
  new Gauge({
    name: 'birthmark_gate_plugin_snapshot_age_seconds',
    help: "Age of the snapshot by which Mosquitto's plugin decides; -1 where it has none.",
    labelNames: ['broker'],
    registers,
    collect() {
      const { taken } = health();
      this.set({ broker }, taken ? (clock() - taken.issuedAt) / 1000 : -1);
    },
  });
  new Gauge({
    name: 'birthmark_gate_canaries',
    help: '1 for what the canaries found last: good, open (the gate is not asked), shut (nobody gets in), unreachable.',
    labelNames: ['broker', 'finding'],
    registers,
    collect() {
      const found = finding();
      if (found === undefined) return;
      for (const one of FINDINGS) this.set({ broker, finding: one }, one === found ? 1 : 0);
    },
  });
  return { kicked: (cause) => kicks.inc({ broker, cause }) };
}
