import { Counter, Gauge, type Registry } from 'prom-client';
import type { RotationReads } from '../fleet/ports.ts';

/**
 * Numbers of rotations in a registry, looked up when they are asked for.
 *
 * @returns to be told how many certificates were retired
 */
export function watchRotations(
  registry: Registry,
  reads: Pick<RotationReads, 'countRotations'>,
): (retired: number) => void {
  new Gauge({
    name: 'birthmark_rotations',
    help: 'Renewals that are not over: open (nobody saw the new certificate), used (the old one retires soon), conflict (two hold the identity).',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      for (const [state, count] of Object.entries(await reads.countRotations())) this.set({ state }, count);
    },
  });
  const retired = new Counter({
    name: 'birthmark_credentials_retired_total',
    help: 'Certificates that were retired as superseded, by the process that does so.',
    registers: [registry],
  });
  return (count) => retired.inc(count);
}
