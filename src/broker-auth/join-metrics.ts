import { AggregatorRegistry, Registry } from 'prom-client';

/** The numbers of one process or gate, as they travel between processes. A label of their own tells them apart. */
export type Numbers = readonly object[];

/** The numbers of several gates as one text. */
export function joinMetrics(registries: Iterable<Registry>) {
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    metrics: async (): Promise<string> => joinNumbers(await readNumbers(registries)),
  };
}

/** What registries have now. */
export function readNumbers(registries: Iterable<Registry>): Promise<readonly Numbers[]> {
  return Promise.all([...registries].map((one) => one.getMetricsAsJSON()));
}

/** All of it in the Prometheus text format. */
export function joinNumbers(all: readonly Numbers[]): Promise<string> {
  // No two have the same labels, so a sum is of one: the library would leave out some that it cannot add up.
  const kept = all.map((numbers) => numbers.map((metric) => ({ ...metric, aggregator: 'sum' })));
  return AggregatorRegistry.aggregate(kept).metrics();
}
