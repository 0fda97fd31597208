import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;

/** What can be watched (MQTT 3.1.1 §5.4.8), in the words of the configuration. */
const BEHAVIOURS = [
  'connect',
  'authenticationFailed',
  'abnormalEnd',
  'topicDenied',
  'undeliverable',
  'silent',
] as const;

/** From mild to hard. */
export const REACTIONS = ['log', 'throttle', 'disconnect', 'block', 'quarantine'] as const;

const RuleConfigSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: 'As logs and lists of blocks name it.',
    }),
    behaviour: Type.Enum([...BEHAVIOURS], {
      description:
        'connect: connections that were allowed. authenticationFailed: that were denied. abnormalEnd: sessions that ended without a ' +
        'DISCONNECT. topicDenied: different topics that the rules deny. undeliverable: messages that nobody has subscribed to. silent: ' +
        'connected without a message for `withinSeconds`.',
    }),
    moreThan: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      description: 'So often is still right; 0 for silent.',
    }),
    withinSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      description: 'The window that is counted over.',
    }),
    reaction: Type.Enum([...REACTIONS], {
      description:
        'log: only said. throttle: connections are answered no faster than one in `forSeconds`. disconnect: the session is ended. block: and ' +
        'no other for `forSeconds`. quarantine: and none before a person lifts it.',
    }),
    forSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_592_000,
        description: 'Of throttle and block: 300 where it is not given.',
      }),
    ),
    listeners: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description: 'Only there; everywhere where it is not given.',
      }),
    ),
  },
  closed,
);

/** The behaviour guard as it is written. */
export const GuardConfigSchema = Type.Object(
  {
    rules: Type.Array(RuleConfigSchema, { maxItems: 64, description: 'Each is watched by itself.' }),
    exempt: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        maxItems: 1024,
        description:
          'Addresses and networks ("10.0.0.0/8") of gateways, behind which many devices are: never restrained.',
      }),
    ),
    breaker: Type.Optional(
      Type.Object(
        {
          moreThan: Type.Integer({
            minimum: 1,
            maximum: 1_000_000,
            description: 'Fewer blocks than this never trip it.',
          }),
          part: Type.Number({
            minimum: 0.001,
            maximum: 1,
            description:
              'Of all that were seen in the last ten minutes: when more than this would be restrained, it is an outage and no attack.',
          }),
        },
        {
          ...closed,
          description: 'Keeps an outage from blocking the fleet: more than 20 and 5 % where it is not given.',
        },
      ),
    ),
  },
  closed,
);

export type GuardConfig = Static<typeof GuardConfigSchema>;
