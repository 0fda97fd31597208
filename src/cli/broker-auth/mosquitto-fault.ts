import type { MosquittoHealth } from '../../broker-auth/adapters/mosquitto/mosquitto-gate.ts';
import type { CanaryFinding } from '../../broker-auth/canary.ts';

const FOUND: Readonly<Record<CanaryFinding, string | undefined>> = {
  good: undefined,
  open: 'Mosquitto lets in a certificate that must be denied: it does not ask the plugin',
  shut: 'Mosquitto denies a certificate that must be let in',
  unreachable: 'the canaries cannot reach Mosquitto',
};

/** What the canaries found, where it is not good. */
export function canaryFault(finding: CanaryFinding): string | undefined {
  return FOUND[finding];
}

/** What is wrong at a Mosquitto, the worst first; undefined where nothing is. */
export function mosquittoFault(
  { connected, taken, refused }: MosquittoHealth,
  finding: CanaryFinding | undefined,
): string | undefined {
  if (finding === 'open') return FOUND.open;
  if (!connected) return "Mosquitto's plugin is not connected";
  if (refused !== undefined) return `Mosquitto's plugin does not take the snapshot: ${refused}`;
  if (!taken) return "Mosquitto's plugin has taken no snapshot yet";
  return finding && FOUND[finding];
}
