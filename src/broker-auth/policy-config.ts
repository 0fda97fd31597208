import Type, { type Static } from 'typebox';
import { PRESET_NAMES } from './presets.ts';
import { VARIABLES } from './variables.ts';

const closed = { additionalProperties: false } as const;
const Text = (description: string) => Type.String({ minLength: 1, maxLength: 1024, description });
const Texts = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), { maxItems: 256, description }));

const TrustConfigSchema = Type.Object(
  {
    namespace: Text('Whose serial numbers these are; own for those of this authority.'),
    ownUnits: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        maxItems: 64,
        description:
          'Of namespace own: organizational units that its profiles write. Any other OU is the namespace of a device of another ' +
          'manufacturer that this authority enrolled; such devices need a role that names it.',
      }),
    ),
    anchorFiles: Type.Array(Text('A PEM file.'), {
      minItems: 1,
      description: 'Roots that are believed, PEM.',
    }),
    intermediateFiles: Texts(
      'CAs between a root and its devices, PEM: brokers that show the leaf only need them here.',
    ),
  },
  closed,
);

const ClientIdConfigSchema = Type.Object(
  {
    bind: Type.Enum(['equal', 'prefix', 'any'], {
      description:
        'equal: the ClientId is one of `to`. prefix: it begins with one of them and the separator. any: it is not looked at.',
    }),
    to: Texts('With variables, like "${id}". "${id}" where it is not given.'),
    separator: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4,
        description: 'Of prefix: what comes between; "-" where it is not given.',
      }),
    ),
    exclusive: Type.Optional(
      Type.Boolean({
        description: 'No second connection of one device under another ClientId; true where it is not given.',
      }),
    ),
  },
  closed,
);

const RoleConfigSchema = Type.Object(
  {
    name: Text('As listeners name it.'),
    namespaces: Texts('Only devices of these.'),
    issuers: Texts(
      'Only certificates of CAs with one of these common names: each profile of ours has a CA of its own.',
    ),
    policies: Texts('Only certificates with one of these certificate policies (object identifiers).'),
    clientId: Type.Optional({
      ...ClientIdConfigSchema,
      description: 'What its ClientId may be: exactly its id where this is not given.',
    }),
    publish: Texts('Topic filters that it may publish to, with variables: "devices/${id}/#".'),
    subscribe: Texts('Topic filters that it may subscribe to.'),
    deny: Texts('Topic filters that it may neither publish nor subscribe to, whatever allows them.'),
  },
  closed,
);

const ListenerConfigSchema = Type.Object(
  {
    preset: Type.Optional(
      Type.Enum([...PRESET_NAMES], {
        description:
          'What the rules of this listener begin with, `transport` where it is not given. What is written beside it may be stricter, never ' +
          'weaker. docs/security-profiles.md has what each demands, and from where.',
      }),
    ),
    evidence: Type.Optional(
      Type.Enum(['certificate', 'name', 'none'], {
        description:
          'The least that the broker must show of a client: certificate where it is not given. RabbitMQ shows a name only.',
      }),
    ),
    status: Type.Optional(
      Type.Enum(['hard', 'soft', 'off'], {
        description:
          'Without a known status: hard (where it is not given) denies, soft allows and says so; off never asks.',
      }),
    ),
    maxStatusAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_592_000,
        description:
          'What the feed says of a status may be so old: as the preset says where it is not given, 300 for most.',
      }),
    ),
    maxListAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 31_536_000,
        description:
          'A list or an OCSP answer of [status] may be so old; until its nextUpdate where this is not given.',
      }),
    ),
    listGraceSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_592_000,
        description:
          'A list or an OCSP answer is taken for so long behind its nextUpdate: 0 where it is not given.',
      }),
    ),
    withoutRevocation: Type.Optional(
      Type.Enum(['refused', 'accepted'], {
        description:
          'Devices of whose certificate nothing is known because it says that it is never taken back (noRevAvail, RFC 9608): refused where it ' +
          'is not given.',
      }),
    ),
    withoutUsage: Type.Optional(
      Type.Enum(['refused', 'idevid', 'accepted'], {
        description:
          'Certificates without extKeyUsage: refused where it is not given; IDevIDs have none (IEEE 802.1AR-2018 §8.10).',
      }),
    ),
    maxSessionSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 31_536_000,
        description: 'A session ends after so long, and the client comes again.',
      }),
    ),
    sessionJitter: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 0.9,
        description: 'Up to this part of it is taken off by chance: 0.2 where it is not given.',
      }),
    ),
    roles: Texts('Only these roles connect here; all where it is not given.'),
  },
  closed,
);

/** The gate's rules as they are written. */
export const PolicyConfigSchema = Type.Object(
  {
    identity: Type.Optional(
      Type.Enum(
        [...VARIABLES].filter((one) => one !== 'id' && one !== 'clientId'),
        {
          description:
            'Where the id of a device is in its certificate: serialNumber (of the subject) where it is not given. Exactly one value must be there.',
        },
      ),
    ),
    trust: Type.Optional(
      Type.Array(TrustConfigSchema, {
        minItems: 1,
        description: 'Whose certificates are believed, a table a namespace.',
      }),
    ),
    resightSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400,
        description:
          'Of a credential that connects again and again the authority is told once in so long (600 where it is not given): that is how it ' +
          'finds an old certificate in use after its successor (docs/rotation.md).',
      }),
    ),
    listeners: Type.Record(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }), ListenerConfigSchema, {
      description: 'Rules of each listener of a broker, by a name that its adapter gives.',
    }),
    roles: Type.Array(RoleConfigSchema, {
      minItems: 1,
      maxItems: 256,
      description: 'What a client may do. The first that fits is its own; where none fits it is denied.',
    }),
  },
  closed,
);

export type PolicyConfig = Static<typeof PolicyConfigSchema>;
export type ListenerConfig = Static<typeof ListenerConfigSchema>;
export type RoleConfig = Static<typeof RoleConfigSchema>;
