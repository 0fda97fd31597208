import type { HttpConfig } from '../../broker-auth/service-config.ts';

/** Names of brokers that let nobody end a session, and ask about each act instead. */
export function forgettingBrokers({ 'mosquitto-go-auth': goAuth }: HttpConfig): readonly string[] {
  return goAuth ? [goAuth.broker ?? 'mosquitto-go-auth'] : [];
}
