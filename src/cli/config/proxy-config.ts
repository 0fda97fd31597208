import Type from 'typebox';

const closed = { additionalProperties: false } as const;

/** A proxy that ends TLS for devices. */
export const ProxyConfigSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: 'As it is written down with what it vouched for.',
    }),
    certificateSha256: Type.String({
      pattern: '^[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$',
      description:
        "SHA-256 of the proxy's own client certificate, as `openssl x509 -noout -fingerprint -sha256` prints it.",
    }),
    header: Type.Enum(['rfc9440', 'xfcc', 'nginx'], { description: 'How it forwards a certificate.' }),
    headerName: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9-]{1,64}$',
        description: 'Of nginx: the header that proxy_set_header sets.',
      }),
    ),
  },
  closed,
);
