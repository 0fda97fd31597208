import Type, { type Static } from 'typebox';
import { schemaParser } from '../../../core/schema.ts';

const Hex = Type.String({ pattern: '^(?:[0-9a-f]{2})+$', maxLength: 64 });
const Value = Type.String({ maxLength: 1024 });
/** Milliseconds since the epoch. */
const Time = Type.Integer({ minimum: 0 });

/** There where a handshake proved it; values of a stranger that are too long, or no text, are left out by the plugin. */
const told = {
  v: Type.Literal(1),
  at: Time,
  clientId: Type.Optional(Value),
  address: Type.Optional(Value),
  issuerKeyId: Type.Optional(Hex),
  serial: Type.Optional(Hex),
  keyHash: Type.Optional(Hex),
  namespace: Type.Optional(Value),
  id: Type.Optional(Value),
};
const session = {
  ...told,
  clientId: Value,
  address: Value,
  issuerKeyId: Hex,
  serial: Hex,
  keyHash: Hex,
  namespace: Value,
  id: Value,
  role: Value,
  since: Time,
  until: Time,
  untilBy: Type.Enum(['credential', 'sessionAge']),
};
const state = {
  v: Type.Literal(1),
  at: Time,
  epoch: Type.Optional(Value),
  sequence: Type.Optional(Type.Integer({ minimum: 0 })),
  issuedAt: Type.Optional(Time),
  why: Type.Optional(Value),
};

/** What the plugin says, a line each; integrations/mosquitto/README.md tells when. */
const PluginEventSchema = Type.Union([
  Type.Object({ event: Type.Enum(['connected', 'live']), ...session }),
  Type.Object({ event: Type.Literal('denied'), ...told, reason: Value, detail: Value }),
  Type.Object({
    event: Type.Literal('disconnected'),
    ...told,
    since: Time,
    how: Type.Enum(['clean', 'abnormal']),
  }),
  Type.Object({ event: Type.Literal('kicked'), ...told, since: Time, cause: Value }),
  Type.Object({
    event: Type.Literal('topicDenied'),
    ...told,
    act: Type.Enum(['publish', 'subscribe']),
    topic: Type.Optional(Value),
  }),
  Type.Object({ event: Type.Enum(['hello', 'listed', 'snapshot', 'refused']), ...state }),
]);

export type PluginEvent = Static<typeof PluginEventSchema>;
export type PluginSession = Extract<PluginEvent, { event: 'connected' | 'live' }>;

const parse = schemaParser(PluginEventSchema, 'bad-request');

/**
 * Reads a line.
 *
 * @throws BirthmarkError `bad-request`, SyntaxError
 */
export function parsePluginEvent(line: string): PluginEvent {
  return parse(JSON.parse(line), 'event');
}
