import Type from 'typebox';
import type { Clock } from '../../core/clock.ts';
import { schemaParser } from '../../core/schema.ts';
import type { TopicAct } from '../gate.ts';
import { type Dialect, type DialectAnswer, type DialectOptions, json, text } from './dialect.ts';

// mosquitto-go-auth's HTTP backend, archived in 2025: the weaker thing. It hands over a user name and nothing that proves it,
// so it is believed only where Mosquitto took the name from a certificate: docs/brokers/mosquitto-go-auth.md

const parseAcl = schemaParser(
  Type.Object({
    username: Type.String({ minLength: 1, maxLength: 256 }),
    clientid: Type.String({ maxLength: 65_535 }),
    topic: Type.String({ maxLength: 65_535 }),
    acc: Type.Union([Type.Integer({ minimum: 1, maximum: 4 }), Type.String({ pattern: '^[1-4]$' })]),
  }),
  'bad-request',
);

export interface GoAuthOptions extends DialectOptions {
  readonly clock: Clock;
  /** `auth_opt_http_response_mode`; a denial is one in each of them. */
  readonly responseMode: 'status' | 'json' | 'text';
}

/** 4xx is a denial to it, and 5xx a fault that it asks again for. */
const DENIED = json({ ok: false, error: 'denied' }, 403);
/** It tells of no connection, so that a device is judged again after this time. */
const JUDGED_FOR_MS = 60_000;

const ACTS: Readonly<Record<string, readonly TopicAct[]>> = {
  1: ['receive'],
  2: ['publish'],
  3: ['receive', 'publish'],
  4: ['subscribe'],
};

/** mosquitto-go-auth as it asks: `/mosquitto-go-auth/user` and `/superuser`, which are always denied, and `/acl`. */
export function goAuthDialect(options: GoAuthOptions): Dialect {
  const { gate, broker, listener, clock, responseMode } = options;
  const allowed = responseMode === 'text' ? text('ok') : json({ ok: true, error: '' });
  // Where Mosquitto takes the name from a certificate it asks for no user; a user that it asks for came with a password.
  const refuse = (): DialectAnswer => DENIED;
  return [
    { path: '/mosquitto-go-auth/user', denial: DENIED, answer: refuse },
    { path: '/mosquitto-go-auth/superuser', denial: DENIED, answer: refuse },
    {
      path: '/mosquitto-go-auth/acl',
      denial: DENIED,
      answer: ({ body }) => {
        const { username, clientid: clientId, topic, acc } = parseAcl(body, '');
        const place = { broker, listener, clientId };
        const session = gate.sessions.get(place);
        if (session?.identity.id !== username || clock() - session.since >= JUDGED_FOR_MS) {
          const evidence = { level: 'name', name: username } as const;
          // It tells no address either.
          if (!gate.connect({ ...place, address: '', evidence }).allow) return DENIED;
        }
        return ACTS[acc]?.every((act) => gate.mayAct(place, act, topic)) ? allowed : DENIED;
      },
    },
  ];
}
