import Type, { type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const Path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
const Name = (description: string) => Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$', description });

const canary = {
  certificateFile: Path('Its certificate, PEM, with the CAs above it where the broker does not have them.'),
  keyFile: Path('Its key, PEM, mode 0600.'),
  clientId: Type.String({ minLength: 1, maxLength: 100, description: 'With which it connects.' }),
};

/** Two clients that prove that a broker asks. */
export const CanariesConfigSchema = Type.Object(
  {
    host: Type.String({ minLength: 1, description: "Where the broker's listener is." }),
    port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'Its port.' }),
    caFile: Path("Who certified the broker's certificate, PEM."),
    serverName: Type.Optional(
      Type.String({
        minLength: 1,
        description: "The name in the broker's certificate, where it is not the host.",
        examples: ['broker.example.com'],
      }),
    ),
    denied: Type.Object(canary, { ...closed, description: 'Who must never get in.' }),
    allowed: Type.Object(canary, { ...closed, description: 'Who must get in.' }),
  },
  closed,
);
export type CanariesConfig = Static<typeof CanariesConfigSchema>;

/** A Mosquitto with our plugin. */
export const MosquittoConfigSchema = Type.Object(
  {
    listener: Name('Whose rules of the policy apply: one for all listeners of a Mosquitto.'),
    broker: Type.Optional(Name('Its name in sessions, logs and metrics: mosquitto where it is not given.')),
    folder: Path(
      'A folder of their own for the snapshot and its key, which the gate may write and Mosquitto may read: its file "snapshot" is ' +
        'plugin_opt_snapshot.',
    ),
    keyFile: Type.Optional({
      ...Path(
        'The key that signs snapshots, made at the first start: "key" in that folder where it is not given. Beside it, with .pub behind, ' +
          'is plugin_opt_key.',
      ),
      examples: ['/var/lib/birthmark-gate/key'],
    }),
    eventsSocket: Path(
      'The Unix socket where the plugin tells who is live: plugin_opt_events. In a folder where only the gate and Mosquitto may go.',
    ),
    canaries: Type.Optional(
      Type.Object(
        {
          everySeconds: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 86_400,
              description: 'From one try to the next: 60 where it is not given.',
            }),
          ),
          ...CanariesConfigSchema.properties,
        },
        {
          ...closed,
          description:
            'Two clients that try the door again and again: an option of Mosquitto that switches a plugin off is silent. The snapshot always ' +
            'denies the certificate of the one; it need not be revoked.',
        },
      ),
    ),
  },
  closed,
);
export type MosquittoConfig = Static<typeof MosquittoConfigSchema>;

const CrlFileConfigSchema = Type.Object(
  {
    file: Path('What the broker reads: PEM, all lists behind each other.'),
    urls: Type.Array(Type.String({ pattern: '^https?://[^\\s?#@]+$' }), {
      minItems: 1,
      maxItems: 64,
      description:
        'Where the lists are, one for each CA that the broker knows. They are signed, so plain HTTP will do.',
    }),
    issuerFiles: Type.Array(Path('A PEM file.'), {
      minItems: 1,
      description:
        'Those CAs, PEM: nothing is written without a list of each, since a broker refuses all clients of one whose list is missing.',
    }),
    everySeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86_400,
        description: 'They are fetched each so many seconds: 300 where it is not given.',
      }),
    ),
    pidFile: Type.Optional({
      ...Path('Whose process is sent SIGHUP after a change. This, or a command.'),
      examples: ['/run/mosquitto/mosquitto.pid'],
    }),
    command: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
        minItems: 1,
        maxItems: 64,
        description: 'What makes the broker read the file after a change: a program and its words, no shell.',
        examples: [['systemctl', 'reload', 'mosquitto']],
      }),
    ),
    canaries: {
      ...CanariesConfigSchema,
      description:
        'Two clients that prove after each change that the broker has the lists: a revoked one that must fail, a good one that must pass.',
    },
  },
  closed,
);
export type CrlFileConfig = Static<typeof CrlFileConfigSchema>;

export const CrlFilesConfigSchema = Type.Array(CrlFileConfigSchema, {
  minItems: 1,
  maxItems: 16,
  description:
    'Revocation lists for brokers that read them from a file, a table a file: a second line beside the gate, never the only one.',
});
