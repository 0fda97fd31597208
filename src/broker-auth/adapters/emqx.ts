import Type from 'typebox';
import type { Clock } from '../../core/clock.ts';
import { schemaParser } from '../../core/schema.ts';
import type { ConnectVerdict } from '../decide.ts';
import type { GateConnect } from '../gate.ts';
import type { TopicFilter } from '../topic-filter.ts';
import { type Dialect, type DialectOptions, json, listenerOf } from './dialect.ts';
import { shownEvidence } from './shown-evidence.ts';

// EMQX 5.8 and later: HTTP authenticator, HTTP authorizer, and a rule on $events/client_disconnected. The templates of the
// bodies are ours to choose: docs/brokers/emqx.md

const ClientId = Type.String({ maxLength: 65_535 });
const Listener = Type.Optional(Type.String({ maxLength: 256 }));
const Maybe = (maxLength: number) => Type.Optional(Type.Union([Type.String({ maxLength }), Type.Null()]));

const parseAuthn = schemaParser(
  Type.Object({
    clientid: ClientId,
    peerhost: Type.String({ minLength: 1, maxLength: 64 }),
    cert: Maybe(65_536),
    cn: Maybe(256),
    listener: Listener,
  }),
  'bad-request',
);
const parseAuthz = schemaParser(
  Type.Object({
    clientid: ClientId,
    action: Type.Enum(['publish', 'subscribe']),
    topic: Type.String({ maxLength: 65_535 }),
    listener: Listener,
  }),
  'bad-request',
);
const parseDisconnected = schemaParser(
  Type.Object({
    clientid: ClientId,
    reason: Type.String({ maxLength: 256 }),
    at: Type.Integer({ minimum: 0, description: 'Milliseconds: disconnected_at of the event.' }),
    listener: Listener,
  }),
  'bad-request',
);

const parseSeen = schemaParser(
  Type.Object({
    clientid: ClientId,
    saw: Type.Enum(['topicDenied', 'undeliverable']),
    topic: Type.String({ maxLength: 65_535 }),
  }),
  'bad-request',
);

const DENIED = { result: 'deny' } as const;
/** The place went to a connection that was judged meanwhile. */
const REPLACED: readonly string[] = ['takenover', 'takeovered', 'takeover', 'discarded'];
/** Its clock may be ahead of ours, and its event late: who came back at once is not to be forgotten for the end before. */
const SETTLED_MS = 5000;
const CLEAN: readonly string[] = ['normal', 'kicked', 'expired'];

/** EMQX as it asks: `/emqx/authn`, `/emqx/authz`; it may tell ends at `/emqx/disconnected`, and what it saw at `/emqx/seen`. */
export function emqxDialect(options: DialectOptions & { readonly clock: Clock }): Dialect {
  const { gate, broker } = options;
  const denial = json(DENIED);
  return [
    {
      path: '/emqx/authn',
      denial,
      answer: ({ body }) => {
        const asked = parseAuthn(body, '');
        const listener = listenerOf(options, asked.listener);
        if (listener === undefined) return denial;
        const attempt: GateConnect = {
          broker,
          listener,
          clientId: asked.clientid,
          address: asked.peerhost,
          evidence: shownEvidence(asked.cert, asked.cn),
        };
        return json(toEmqxAuthn(gate.connect(attempt), options.clock()));
      },
    },
    {
      path: '/emqx/authz',
      denial,
      answer: ({ body }) => {
        const { clientid, action, topic } = parseAuthz(body, '');
        return json(
          gate.mayAct({ broker, clientId: clientid }, action, topic) ? { result: 'allow' } : DENIED,
        );
      },
    },
    {
      path: '/emqx/disconnected',
      denial: json({}),
      answer: ({ body }) => {
        const { clientid, reason, at } = parseDisconnected(body, '');
        const place = { broker, clientId: clientid };
        const session = gate.sessions.get(place);
        // What is told late is of the connection before this one; a session that is forgotten by mistake nobody can end.
        const isSettled = session && options.clock() - session.since >= SETTLED_MS;
        if (isSettled && at >= session.since && !REPLACED.includes(reason))
          gate.disconnected(place, CLEAN.includes(reason) ? 'clean' : 'abnormal');
        return json({});
      },
    },
    {
      path: '/emqx/seen',
      denial: json({}),
      answer: ({ body }) => {
        const { clientid, saw, topic } = parseSeen(body, '');
        gate.saw({ broker, clientId: clientid }, saw, topic);
        return json({});
      },
    },
  ];
}

/** Erlang has timers for some centuries only, and an IDevID ends in 9999: then it is the gate that ends the session. */
const LONGEST_MS = 10 * 365 * 86_400_000;

/** EMQX's answer: it ends the connection itself at `expire_at`, and asks no more for publications that `acl` tells of. */
function toEmqxAuthn(verdict: ConnectVerdict, at: number): Readonly<Record<string, unknown>> {
  if (!verdict.allow) return DENIED;
  const { identity, role, permissions, until } = verdict;
  const acl = toAcl(permissions.publish, permissions.deny);
  return {
    result: 'allow',
    is_superuser: false,
    client_attrs: { id: identity.id, namespace: identity.namespace, role },
    ...(until - at <= LONGEST_MS && { expire_at: Math.floor(until / 1000) }),
    ...(acl && { acl }),
  };
}

/**
 * Publications only, since a topic's name is held against a filter by everybody alike. Whether a subscription's own
 * wildcards reach further than a rule, or into a denied one, is for us to say: EMQX asks for each.
 */
function toAcl(publish: readonly TopicFilter[], deny: readonly TopicFilter[]) {
  const rule = (permission: 'allow' | 'deny') => (filter: TopicFilter) => ({
    permission,
    action: 'publish',
    topic: filter.join('/'),
  });
  // What EMQX would read as a keyword or a variable of its own.
  if ([...publish, ...deny].some((filter) => /^eq |\$\{/.test(filter.join('/')))) return undefined;
  return [...deny.map(rule('deny')), ...publish.map(rule('allow')), rule('deny')(['#'])];
}
