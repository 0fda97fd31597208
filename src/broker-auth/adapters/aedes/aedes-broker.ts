import type { EventEmitter } from 'node:events';
import { Aedes } from 'aedes';
import { type AedesDoor, createAedesDoor } from './aedes-door.ts';

export interface AedesBroker {
  readonly door: AedesDoor;
  close(): Promise<void>;
}

/** Who connects and then says nothing holds a connection for so long. */
const CONNECT_WITHIN_MS = 10_000;

/** An Aedes of our own, with the gate in it; what it keeps for clients is in memory. */
export async function openAedesBroker(options: {
  readonly broker: string;
  readonly onFault: (error: unknown) => void;
}): Promise<AedesBroker> {
  const aedes = await Aedes.createBroker({ connectTimeout: CONNECT_WITHIN_MS });
  // Without a listener it would be thrown; the types of Aedes leave it out.
  const emitter: EventEmitter = aedes;
  emitter.on('error', options.onFault);
  const door = createAedesDoor({ aedes, ...options });
  return { door, close: () => new Promise((resolve) => aedes.close(() => resolve())) };
}
