import type { Clock } from '../../core/clock.ts';
import type { KickDriver } from '../ports.ts';
import type { BrokerConfig } from '../service-config.ts';
import { emqxKickDriver } from './emqx.ts';
import { createManagementClient } from './management-client.ts';
import { rabbitmqKickDriver } from './rabbitmq.ts';
import { vernemqKickDriver } from './vernemq.ts';

export interface KickCredentials {
  readonly password: string;
  /** PEM. */
  readonly ca?: string;
}

/** The driver of one table of `brokers`. */
export function createKickDriver(
  broker: string,
  config: BrokerConfig,
  { password, ca }: KickCredentials,
  clock: Clock,
): KickDriver {
  const { kind, url, user, banSeconds } = config;
  const ask = createManagementClient({
    url: new URL(url),
    // VerneMQ takes its API key as the name, without a password.
    user: kind === 'vernemq' ? password : (user ?? ''),
    password: kind === 'vernemq' ? '' : password,
    ...(ca !== undefined && { ca }),
  });
  switch (kind) {
    case 'emqx':
      return emqxKickDriver({
        broker,
        ask,
        clock,
        ...(banSeconds !== undefined && { banMs: banSeconds * 1000 }),
      });
    case 'rabbitmq':
      return rabbitmqKickDriver({ broker, ask });
    case 'vernemq':
      return vernemqKickDriver({ broker, ask });
  }
}

/** For a broker that asks about each act and lets nobody end a session: what is forgotten may do nothing until it is judged. */
export function forgettingDriver(broker: string): KickDriver {
  return { broker, kick: async () => {}, stillLive: async () => [] };
}
