import Type from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { type Dialect, type DialectOptions, text } from './dialect.ts';

// RabbitMQ's rabbitmq_auth_backend_http with rabbitmq_mqtt: forms, answered with a word. It shows the name that it read from
// a certificate, and nothing else of it: docs/brokers/rabbitmq.md

const Word = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const Permission = Type.Enum(['configure', 'read', 'write']);

const parseUser = schemaParser(
  Type.Object({ username: Word(256), password: Type.Optional(Type.Unknown()) }),
  'bad-request',
);
const parseVhost = schemaParser(
  Type.Object({
    username: Word(256),
    vhost: Word(256),
    ip: Word(64),
    client_id: Type.Optional(Type.String({ maxLength: 65_535 })),
  }),
  'bad-request',
);
const parseResource = schemaParser(
  Type.Object({
    username: Word(256),
    vhost: Word(256),
    resource: Word(64),
    name: Word(65_535),
    permission: Permission,
    client_id: Type.Optional(Type.String({ maxLength: 65_535 })),
  }),
  'bad-request',
);
const parseTopic = schemaParser(
  Type.Object({
    username: Word(256),
    vhost: Word(256),
    name: Word(256),
    permission: Permission,
    routing_key: Word(65_535),
    'variable_map.client_id': Type.Optional(Type.String({ maxLength: 65_535 })),
  }),
  'bad-request',
);

export interface RabbitmqOptions extends DialectOptions {
  readonly vhost: string;
  /** `mqtt.exchange`. */
  readonly exchange: string;
}

const ALLOW = text('allow');
const DENY = text('deny');

/** RabbitMQ as it asks: `/rabbitmq/user`, `/vhost` (where it first tells the ClientId), `/resource`, `/topic`. */
export function rabbitmqDialect(options: RabbitmqOptions): Dialect {
  const { gate, broker, listener, vhost, exchange } = options;
  const ownPlace = (asked: { username: string; vhost: string }, clientId: string | undefined) => {
    if (clientId === undefined || asked.vhost !== vhost) return undefined;
    const place = { broker, clientId };
    return gate.sessions.get(place)?.identity.id === asked.username ? place : undefined;
  };
  return [
    {
      path: '/rabbitmq/user',
      denial: DENY,
      answer: ({ body }) => {
        const { username, password } = parseUser(body, '');
        // RabbitMQ prefers what a client says of itself to its certificate: with a password the name proves nothing.
        return password === undefined && isPlain(username) ? ALLOW : DENY;
      },
    },
    {
      path: '/rabbitmq/vhost',
      denial: DENY,
      answer: ({ body }) => {
        const { username, ip, client_id: clientId, ...asked } = parseVhost(body, '');
        if (clientId === undefined || asked.vhost !== vhost || !isPlain(username) || !isPlain(clientId))
          return DENY;
        const evidence = { level: 'name', name: username } as const;
        return gate.connect({ broker, listener, clientId, address: ip, evidence }).allow ? ALLOW : DENY;
      },
    },
    {
      path: '/rabbitmq/resource',
      denial: DENY,
      answer: ({ body }) => {
        const { client_id: clientId, ...asked } = parseResource(body, '');
        if (!ownPlace(asked, clientId)) return DENY;
        const { resource, name, permission } = asked;
        const own =
          resource === 'queue'
            ? QUEUES.some((queue) => name === queue(clientId ?? ''))
            : // Which topics of it is asked apart.
              resource === 'exchange' && name === exchange && permission !== 'configure';
        return own ? ALLOW : DENY;
      },
    },
    {
      path: '/rabbitmq/topic',
      denial: DENY,
      answer: ({ body }) => {
        const asked = parseTopic(body, '');
        const place = ownPlace(asked, asked['variable_map.client_id']);
        if (!place || asked.name !== exchange || asked.permission === 'configure') return DENY;
        const topic = toTopic(asked.routing_key);
        if (asked.permission === 'read') return gate.mayAct(place, 'subscribe', topic) ? ALLOW : DENY;
        return !topic.startsWith('$') && gate.mayAct(place, 'publish', topic) ? ALLOW : DENY;
      },
    },
  ];
}

/** A queue for each quality of service, and one for a will that waits. */
const QUEUES: readonly ((clientId: string) => string)[] = [
  (clientId) => `mqtt-subscription-${clientId}qos0`,
  (clientId) => `mqtt-subscription-${clientId}qos1`,
  (clientId) => `mqtt-will-${clientId}`,
];

/** RabbitMQ routes by words between dots: `a.b` and `a/b` are one to it, and so are `*` and `+`. */
function isPlain(name: string): boolean {
  return !/[.*]/.test(name);
}

/**
 * What RabbitMQ will deliver it as. Whoever subscribes to # gets what begins with $ too (against MQTT 5 §4.7.2): nobody
 * may publish that.
 */
function toTopic(routingKey: string): string {
  return routingKey.replaceAll('.', '/').replaceAll('*', '+');
}
