import { Counter, Gauge } from 'prom-client';
import type { RotationReads } from '../fleet/ports.ts';
import type { Metrics } from './metrics.ts';

/**
 * Numbers of rotations: those that go on are looked up when somebody asks, those that are over are counted.
 *
 * @returns to be told how many certificates were retired
 */
export function watchRotations(
  { registry, house }: Pick<Metrics, 'registry' | 'house'>,
  reads: Pick<RotationReads, 'countRotations'>,
): (retired: number) => void {
  new Gauge({
    name: 'birthmark_rotations',
    help: 'Renewals that are not over: open (nobody saw the new certificate), used (the old one retires soon), conflict (two hold the identity).',
    labelNames: ['state'],
    registers: [house],
    async collect() {
      for (const [state, count] of Object.entries(await reads.countRotations())) this.set({ state }, count);
    },
  });
  const retired = new Counter({
    name: 'birthmark_credentials_retired_total',
    help: 'Certificates that were retired as superseded since the process that does so began.',
    registers: [registry],
  });
  return (count) => retired.inc(count);
}
