import { hash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { schemaParser } from '../core/schema.ts';
import type { GatePolicy } from './policy.ts';
import type { Session } from './sessions.ts';
import type { Permissions } from './topic-rules.ts';

/** A live session with all that is known of it, for whoever goes on with it after this process. */
export interface KeptSession {
  readonly session: Session;
  readonly permissions: Permissions;
  /** IP address of the client, without port. */
  readonly address: string;
}

const Word = Type.String({ maxLength: 65_535 });
const Hex = Type.String({ pattern: '^(?:[0-9a-f]{2}){1,64}$' });
const Topics = Type.Array(Word);
const BegunSchema = Type.Object({
  broker: Word,
  listener: Word,
  clientId: Word,
  namespace: Word,
  id: Word,
  address: Word,
  credentials: Type.Array(Type.Object({ issuerKeyId: Hex, serial: Hex, keyHash: Hex }), { maxItems: 32 }),
  since: Type.Number(),
  until: Type.Union([Type.Number(), Type.Null()], { description: 'null: no end.' }),
  untilBy: Type.Enum(['credential', 'sessionAge']),
  publish: Topics,
  subscribe: Topics,
  deny: Topics,
});
const LineSchema = Type.Union([
  Type.Object({
    format: Type.Literal('birthmark-gate-sessions'),
    version: Type.Literal(1),
    rules: Type.String(),
  }),
  Type.Object({ begun: BegunSchema }),
  Type.Object({ ended: Type.Object({ broker: Word, clientId: Word, since: Type.Number() }) }),
]);
export type SessionLine = Static<typeof LineSchema>;

const parseLine = schemaParser(LineSchema, 'bad-request');

/**
 * Reads a line.
 *
 * @throws BirthmarkError `bad-request`, SyntaxError
 */
export function parseSessionLine(line: string): SessionLine {
  return parseLine(JSON.parse(line), 'line');
}

export function headerLine(rules: string): string {
  return `${JSON.stringify({ format: 'birthmark-gate-sessions', version: 1, rules })}\n`;
}

export function begunLine({ session, permissions, address }: KeptSession): string {
  const { broker, listener, clientId, identity, credentials, since, until, untilBy } = session;
  const texts = (filters: Permissions['publish']) => filters.map((levels) => levels.join('/'));
  const begun: Static<typeof BegunSchema> = {
    ...{ broker, listener, clientId, namespace: identity.namespace, id: identity.id, address },
    credentials: credentials.map(({ issuerKeyId, serial, keyHash }) => ({ issuerKeyId, serial, keyHash })),
    ...{ since, until: Number.isFinite(until) ? until : null, untilBy },
    publish: texts(permissions.publish),
    subscribe: texts(permissions.subscribe),
    deny: texts(permissions.deny),
  };
  return `${JSON.stringify({ begun })}\n`;
}

export function endedLine({ broker, clientId, since }: Session): string {
  return `${JSON.stringify({ ended: { broker, clientId, since } })}\n`;
}

export function toKeptSession(begun: Static<typeof BegunSchema>): KeptSession {
  const { broker, listener, clientId, namespace, id, address, credentials, since, until, untilBy } = begun;
  const filters = (texts: readonly string[]) => texts.map((text) => text.split('/'));
  const identity = { namespace, id };
  return {
    session: {
      ...{ broker, listener, clientId, identity, credentials, since, untilBy },
      until: until ?? Number.POSITIVE_INFINITY,
    },
    permissions: {
      publish: filters(begun.publish),
      subscribe: filters(begun.subscribe),
      deny: filters(begun.deny),
    },
    address,
  };
}

/** What stands for a policy: sessions that were allowed by other rules are not to live by these. */
export function rulesDigest(policy: GatePolicy): string {
  const text = JSON.stringify(policy, (_key, value: unknown) => {
    if (value instanceof Map) return [...value];
    return value instanceof Uint8Array ? hash('sha256', value, 'hex') : value;
  });
  return hash('sha256', text, 'hex');
}
