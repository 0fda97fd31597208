import type { KickDriver } from '../../broker-auth/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';

/** A driver of a broker that is opened after the gate which needs it. */
export interface LateDriver extends KickDriver {
  bind(driver: KickDriver): void;
}

/** Until it is bound it rejects with `unavailable`, which is tried again. */
export function createLateDriver(broker: string): LateDriver {
  let bound: KickDriver | undefined;
  const driver = () => {
    if (bound) return bound;
    throw new BirthmarkError('unavailable', `broker ${broker} is not opened yet`);
  };
  return {
    broker,
    bind: (found) => {
      bound = found;
    },
    kick: async (sessions, cause, scope) => driver().kick(sessions, cause, scope),
    stillLive: async (sessions) => driver().stillLive(sessions),
  };
}
