import Type from 'typebox';

const closed = { additionalProperties: false } as const;

const Port = (what: string, fallback: number) =>
  Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: fallback,
    description: `Port of ${what}; 0 takes any free one.`,
  });

/** Where the server listens. */
export const ListenConfigSchema = Type.Object(
  {
    publicHost: Type.String({
      default: '127.0.0.1',
      description: 'Address of the public listener (plain HTTP: authorities, CRLs, OCSP).',
    }),
    publicPort: Port('the public listener', 8080),
    tlsHost: Type.String({
      default: '127.0.0.1',
      description: 'Address of the TLS listener (enrollment, API).',
    }),
    tlsPort: Port('the TLS listener', 8443),
    mqttHost: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['127.0.0.1'],
        description: 'Address of the broker of `serve --broker`; tlsHost where it is not given.',
      }),
    ),
    mqttPort: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        examples: [8883],
        description: 'Port of the broker, MQTT over TLS: 8883 where it is not given; 0 takes any free one.',
      }),
    ),
    mqttWsPort: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        examples: [8884],
        description:
          'Port of the broker, MQTT over WebSocket at /mqtt: 8884 where it is not given; 0 takes any free one.',
      }),
    ),
    tlsNames: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        "DNS names and IP addresses in the TLS listener's own certificate: those by which devices reach it.",
    }),
    tlsCertificateFile: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['/etc/ssl/birthmark.pem'],
        description:
          'A certificate of your own for the TLS listener instead of ours: PEM, the leaf first, then what is between it and its root. ' +
          'From this folder. Read again when it changes.',
      }),
    ),
    tlsKeyFile: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['/etc/ssl/private/birthmark.key'],
        description: 'Its key: PEM, mode 0600; if it is encrypted, with the passphrase of the key files.',
      }),
    ),
    constrainedHost: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['127.0.0.1'],
        description: 'Address of the listener for constrained devices; tlsHost where it is not given.',
      }),
    ),
    constrainedPort: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        examples: [8444],
        description:
          'Switches on a second TLS listener with the same doors, for devices that speak only AES-CCM-8 on P-256 and take small ' +
          'records (RFC 7925). Weaker than the first: a forged record is accepted once in 2^64. 0 takes any free port.',
      }),
    ),
  },
  closed,
);
