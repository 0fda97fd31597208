import Type from 'typebox';
import type { Clock } from '../../core/clock.ts';
import { schemaParser } from '../../core/schema.ts';
import { type Dialect, type DialectAnswer, type DialectOptions, json, listenerOf } from './dialect.ts';
import { shownEvidence } from './shown-evidence.ts';

// VerneMQ's webhooks, MQTT 3.1.1 and 5 alike: JSON, which hook it is in a header. Answers must be 200, and carry no
// cache-control: it would remember them. docs/brokers/vernemq.md

const ClientId = Type.Union([Type.String({ maxLength: 65_535 }), Type.Null()]);
/** Clients of other mount points have ClientIds and topics of their own: the policy knows one world. */
const Mountpoint = Type.Literal('');
const client = { client_id: ClientId, mountpoint: Mountpoint };

const parseRegister = schemaParser(
  Type.Object({
    ...client,
    peer_addr: Type.String({ minLength: 1, maxLength: 64 }),
    client_cert: Type.Optional(Type.Union([Type.String({ maxLength: 65_536 }), Type.Null()])),
    listener_port: Type.Optional(
      Type.Union([Type.Integer(), Type.String({ maxLength: 32 }), Type.Null()], {
        description: 'Its listeners have no names: the port stands for one.',
      }),
    ),
  }),
  'bad-request',
);
const parsePublish = schemaParser(
  Type.Object({ ...client, topic: Type.String({ maxLength: 65_535 }) }),
  'bad-request',
);
const parseSubscribe = schemaParser(
  Type.Object({
    ...client,
    topics: Type.Array(
      Type.Object({
        topic: Type.String({ maxLength: 65_535 }),
        qos: Type.Integer({ minimum: 0, maximum: 2 }),
      }),
      { minItems: 1, maxItems: 1000 },
    ),
  }),
  'bad-request',
);
const parseClient = schemaParser(Type.Object(client), 'bad-request');

const OK = json({ result: 'ok' });
const DENIED = json({ result: { error: 'not_allowed' } });
const HEARD = json({});
/** Codes of a SUBACK that say no: MQTT 3.1.1 §3.9.3, MQTT 5 §3.9.3. */
const REFUSED = { v3: 0x80, v5: 0x87 } as const;
/** A connection that takes over a ClientId is judged before the end of the one before it is told. */
const TAKEOVER_MS = 5000;

/** VerneMQ as it asks, all at `/vernemq`. */
export function vernemqDialect(options: DialectOptions & { readonly clock: Clock }): Dialect {
  const { gate, broker, clock } = options;

  function register(body: unknown): DialectAnswer {
    const { client_id: clientId, peer_addr: address, client_cert, listener_port } = parseRegister(body, '');
    const listener = listenerOf(options, listener_port === undefined ? undefined : String(listener_port));
    if (listener === undefined) return DENIED;
    // The user name is what the client says of itself, or a name from its certificate: nobody can tell which.
    const evidence = shownEvidence(client_cert);
    const attempt = { broker, listener, clientId: clientId ?? '', address, evidence, asksOfEachAct: true };
    const verdict = gate.connect(attempt);
    return verdict.allow ? OK : DENIED;
  }

  function publish(body: unknown): DialectAnswer {
    const { client_id: clientId, topic } = parsePublish(body, '');
    return gate.mayAct({ broker, clientId: clientId ?? '' }, 'publish', topic) ? OK : DENIED;
  }

  function subscribe(body: unknown, version: 'v3' | 'v5'): DialectAnswer {
    const { client_id: clientId, topics: asked } = parseSubscribe(body, '');
    const place = { broker, clientId: clientId ?? '' };
    const topics = asked.map((one) =>
      gate.mayAct(place, 'subscribe', one.topic) ? one : { topic: one.topic, qos: REFUSED[version] },
    );
    if (topics.every(({ qos }) => qos === REFUSED[version])) return DENIED;
    return json(version === 'v3' ? { result: 'ok', topics } : { result: 'ok', modifiers: { topics } });
  }

  function ended(body: unknown): DialectAnswer {
    const { client_id: clientId } = parseClient(body, '');
    const place = { broker, clientId: clientId ?? '' };
    const session = gate.sessions.get(place);
    // How it ended is not told.
    if (session && clock() - session.since >= TAKEOVER_MS) gate.disconnected(place, 'clean');
    return HEARD;
  }

  const hooks: Readonly<Record<string, (body: unknown) => DialectAnswer>> = {
    auth_on_register: register,
    auth_on_register_m5: register,
    auth_on_publish: publish,
    auth_on_publish_m5: publish,
    auth_on_subscribe: (body) => subscribe(body, 'v3'),
    auth_on_subscribe_m5: (body) => subscribe(body, 'v5'),
    // An exchange of its own in place of the certificate (MQTT 5 §4.12).
    on_auth_m5: () => DENIED,
    on_unsubscribe: () => OK,
    on_unsubscribe_m5: () => OK,
    on_client_gone: ended,
    on_client_offline: ended,
    on_session_expired: ended,
  };
  const known = new Map(Object.entries(hooks));
  return [
    {
      path: '/vernemq',
      denial: DENIED,
      answer: ({ hook, body }) => known.get(hook ?? '')?.(body) ?? (hook?.startsWith('on_') ? HEARD : DENIED),
    },
  ];
}
