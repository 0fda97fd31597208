import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;

/** What can be watched (MQTT 3.1.1 §5.4.8), in the words of the configuration. */
export const BEHAVIOURS = [
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
        'connected, and neither sent, subscribed nor received anything for `withinSeconds`.',
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
        'log: only said. throttle: connections are let in no faster than one in `forSeconds`. disconnect: the session is ended. block: and ' +
        'no other is let in for `forSeconds`. quarantine: and none before a person says so: the authority puts its certificates on hold. ' +
        'What is no device of ours that proved itself is blocked for `forSeconds` instead.',
    }),
    forSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_592_000,
        description:
          'Of throttle, 10 where it is not given; of block, and of quarantine where nobody can be quarantined, 300.',
      }),
    ),
    listeners: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        description:
          'Counts there, all together, and restrains there; everywhere where it is not given. For another threshold elsewhere: another rule.',
      }),
    ),
  },
  closed,
);

/** The behaviour guard as it is written. */
export const GuardConfigSchema = Type.Object(
  {
    rules: Type.Optional(
      Type.Array(RuleConfigSchema, {
        maxItems: 64,
        description:
          'Each is watched by itself. Where they are not given: reconnecting (connect, more than 20 in 60 s, throttle to one in 10 s), ' +
          'guessing (authenticationFailed, 20 in 60 s, block for 300 s), dropping (abnormalEnd, 30 in 600 s, throttle to one in 30 s), ' +
          'scanning (topicDenied, 20 in 300 s, block for 900 s). They hold where clients show certificates. An empty list watches nothing.',
      }),
    ),
    exempt: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        maxItems: 1024,
        description:
          'Never restrained: addresses and networks ("10.0.0.0/8") behind which many clients are, and devices that speak for others ' +
          '("device:own/GW-1", "device:own/GW-*"). A device that proved itself from such an address is watched like any other.',
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
              'Of all that were seen in the last ten minutes: when more than this would be restrained, it is an outage and no attack. ' +
              'Devices, certificates that are no good, and addresses are reckoned each by themselves.',
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
