import type { Clock } from '../core/clock.ts';
import type { DialectOptions } from './adapters/dialect.ts';
import { emqxDialect } from './adapters/emqx.ts';
import { goAuthDialect } from './adapters/mosquitto-go-auth.ts';
import { rabbitmqDialect } from './adapters/rabbitmq.ts';
import { vernemqDialect } from './adapters/vernemq.ts';
import type { Gate } from './gate.ts';
import type { MountedDialect } from './http.ts';
import type { HttpConfig } from './service-config.ts';

export interface MountOptions {
  readonly gate: Gate;
  readonly clock: Clock;
  /** What is in the file of a dialect's secret. */
  readonly secretOf: (file: string) => string;
}

/** The dialects that a configuration names. */
export function mountDialects(
  config: HttpConfig,
  { gate, clock, secretOf }: MountOptions,
): readonly MountedDialect[] {
  const common = (
    name: string,
    one: { broker?: string; listener: string; listeners?: Readonly<Record<string, string>> },
  ): DialectOptions & { readonly clock: Clock } => ({
    gate,
    clock,
    broker: one.broker ?? name,
    listener: one.listener,
    ...(one.listeners && { listeners: new Map(Object.entries(one.listeners)) }),
  });
  const secret = ({ secretFile }: { secretFile?: string }) =>
    secretFile === undefined ? {} : { secret: secretOf(secretFile) };
  const { emqx, rabbitmq, vernemq, 'mosquitto-go-auth': goAuth } = config;
  const mounted: MountedDialect[] = [];
  if (emqx) mounted.push({ dialect: emqxDialect(common('emqx', emqx)), ...secret(emqx) });
  if (rabbitmq) {
    const { vhost = '/', exchange = 'amq.topic' } = rabbitmq;
    const dialect = rabbitmqDialect({ ...common('rabbitmq', rabbitmq), vhost, exchange });
    mounted.push({ dialect, ...secret(rabbitmq) });
  }
  if (vernemq) mounted.push({ dialect: vernemqDialect(common('vernemq', vernemq)), ...secret(vernemq) });
  if (goAuth) {
    const { responseMode = 'status' } = goAuth;
    const dialect = goAuthDialect({ ...common('mosquitto-go-auth', goAuth), responseMode });
    mounted.push({ dialect, ...secret(goAuth) });
  }
  return mounted;
}
