import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const Path = (description: string, example?: string) =>
  Type.String({
    minLength: 1,
    maxLength: 4096,
    description,
    ...(example !== undefined && { examples: [example] }),
  });
const Name = (description: string) => Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', description });

/** Where brokers ask the gate. */
export const ListenConfigSchema = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description: 'Address of the listener. Anywhere but on loopback it needs the three files below.',
    }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8090,
      description: 'Its port; 0 takes any free one.',
    }),
    certificateFile: Type.Optional(
      Path('Its certificate, PEM, with what is between it and its root.', 'gate.pem'),
    ),
    keyFile: Type.Optional(Path('Its key, PEM, mode 0600.', 'gate.key')),
    clientCaFile: Type.Optional(
      Path(
        'Who certifies brokers, PEM: only who shows such a certificate may ask. Never the CA of devices, nor a root above it: an issuing CA is enough.',
        'brokers-ca.pem',
      ),
    ),
    clientSha256: Type.Optional(
      Type.Array(Type.String({ pattern: '^[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$' }), {
        minItems: 1,
        description:
          'Only these of them: fingerprints, as openssl x509 -noout -fingerprint -sha256 prints them.',
      }),
    ),
  },
  closed,
);
export type ListenConfig = Static<typeof ListenConfigSchema>;

const common = {
  listener: Name('Whose rules of the policy apply.'),
  broker: Type.Optional(Name('Its name in [brokers]; that of the dialect where it is not given.')),
  secretFile: Type.Optional(
    Path('What the broker sends as "Authorization: Bearer …": a file of mode 0600 that holds nothing else.'),
  ),
};
const managed = {
  ...common,
  withoutKicks: Type.Optional(
    Type.Boolean({
      description:
        'There is no table of it in [brokers], so nothing ends a session there when its device is taken back: it ends by itself.',
    }),
  ),
};
const Listeners = (description: string) =>
  Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 256 }), Type.String({ minLength: 1 }), {
      description,
    }),
  );

/** The dialects that are mounted. */
export const HttpConfigSchema = Type.Object(
  {
    emqx: Type.Optional(
      Type.Object(
        {
          ...managed,
          listeners: Listeners(
            'The policy\'s listener by that of EMQX ("ssl:default"), which its template must send; from any other all is denied. ' +
              'Needs a secret or mutual TLS.',
          ),
        },
        { ...closed, description: 'EMQX 5.8 and later, at /emqx/authn and /emqx/authz.' },
      ),
    ),
    rabbitmq: Type.Optional(
      Type.Object(
        {
          ...managed,
          vhost: Type.Optional(
            Type.String({ minLength: 1, description: 'mqtt.vhost; "/" where it is not given.' }),
          ),
          exchange: Type.Optional(
            Type.String({ minLength: 1, description: 'mqtt.exchange; "amq.topic" where it is not given.' }),
          ),
        },
        {
          ...closed,
          description:
            'RabbitMQ, at /rabbitmq/{user,vhost,resource,topic}. It shows a name only: evidence = "name".',
        },
      ),
    ),
    vernemq: Type.Optional(
      Type.Object(
        {
          ...managed,
          listeners: Listeners(
            "The policy's listener by the port of VerneMQ's; from any other all is denied.",
          ),
        },
        { ...closed, description: 'VerneMQ 2.1 and later, all hooks at /vernemq.' },
      ),
    ),
    'mosquitto-go-auth': Type.Optional(
      Type.Object(
        {
          ...common,
          responseMode: Type.Optional(
            Type.Enum(['status', 'json', 'text'], {
              description: 'auth_opt_http_response_mode; status where it is not given.',
            }),
          ),
        },
        {
          ...closed,
          description:
            'The archived plugin, at /mosquitto-go-auth/{user,superuser,acl}. Weaker: see its page.',
        },
      ),
    ),
  },
  closed,
);
export type HttpConfig = Static<typeof HttpConfigSchema>;

const BrokerConfigSchema = Type.Object(
  {
    kind: Type.Enum(['emqx', 'rabbitmq', 'vernemq'], { description: 'Whose management API it is.' }),
    url: Type.String({
      pattern: '^https?://[^\\s?#@]+$',
      description: 'Where that is; https anywhere but on loopback.',
    }),
    user: Type.Optional(
      Type.String({ minLength: 1, description: 'User of RabbitMQ, or API key of EMQX. VerneMQ has none.' }),
    ),
    passwordFile: Path(
      'Its password, or the API key of VerneMQ: a file of mode 0600 that holds nothing else.',
    ),
    caFile: Type.Optional(
      Path('Who certifies it, PEM; those that the system trusts where it is not given.', 'emqx-ca.pem'),
    ),
    banSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 31_536_000,
        examples: [3600],
        description:
          'Of EMQX: also ban the ClientId of a device that was taken back with its last certificate, for so long, whatever ' +
          'certificate it gets meanwhile. Never of one that has another.',
      }),
    ),
  },
  closed,
);
export type BrokerConfig = Static<typeof BrokerConfigSchema>;

export const BrokersConfigSchema = Type.Record(
  Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
  BrokerConfigSchema,
  { description: 'How to end sessions at each broker.' },
);

/** Where statuses come from. */
export const AuthorityConfigSchema = Type.Object(
  {
    url: Type.String({
      pattern: '^https://[^\\s?#@]+$',
      description: "The authority's TLS listener.",
    }),
    caFile: Path('Who certifies that listener, PEM: pki/root.pem of the home.'),
    signerCaFile: Type.Optional(
      Path('Who certifies the signer of snapshots, PEM; the same file where it is not given.', 'service.pem'),
    ),
    tokenFile: Type.Optional(
      Path('A token of role gate: a file of mode 0600 that holds nothing else. Or the two files below.'),
    ),
    certificateFile: Type.Optional(
      Path('An operator certificate instead of a token, PEM.', 'gate-operator.pem'),
    ),
    keyFile: Type.Optional(Path('Its key, PEM, mode 0600.', 'gate-operator.key')),
    snapshotFile: Path(
      'Where the signed snapshot is kept, beside it what changed since, and the live sessions: the gate starts from them.',
    ),
  },
  closed,
);
