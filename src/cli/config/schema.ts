import Type, { type Static } from 'typebox';
import { OcspConfigSchema } from '../../ca/ocsp/settings.ts';
import { ProfileConfigSchema } from '../../ca/profile-config.ts';
import { KeyCompromiseConfigSchema } from '../../enroll/compromise/settings.ts';
import { EstConfigSchema } from '../../enroll/est/settings.ts';
import { LabelConfigSchema } from '../../enroll/label-config.ts';
import { HygieneConfigSchema } from '../../fleet/hygiene/settings.ts';
import { RotationConfigSchema } from '../../fleet/rotation/settings.ts';
import { KEY_ALGORITHMS } from '../../keys/key-algorithm.ts';
import { StatusConfigSchema } from '../../server/status/settings.ts';
import { BrokerAuthSectionSchema } from './broker-auth-config.ts';
import { BrokerSectionSchema } from './broker-config.ts';
import { ListenConfigSchema } from './listen-schema.ts';
import { ProxyConfigSchema } from './proxy-config.ts';

const closed = { additionalProperties: false } as const;

const AuthorityConfigSchema = Type.Object(
  {
    organization: Type.String({ minLength: 1, maxLength: 64, description: 'O of the subject.' }),
    commonName: Type.String({ minLength: 1, maxLength: 64, description: 'CN of the subject.' }),
    algorithm: Type.Enum([...KEY_ALGORITHMS], { description: `Key: ${KEY_ALGORITHMS.join(', ')}.` }),
    validityDays: Type.Integer({
      minimum: 1,
      maximum: 36_500,
      description: 'From the day on which it is made; never beyond its issuer.',
    }),
  },
  closed,
);

/** birthmark.toml. The descriptions become the comments of the file that `init` writes. */
export const ConfigSchema = Type.Object(
  {
    publicUrl: Type.String({
      // Only what an IA5String holds (RFC 5280 §4.2.1.6), and no name and password.
      pattern:
        "^https?://(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*$",
      description:
        'What certificates name: where their issuer, CRL and OCSP responder are found. It is written into every certificate, also those ' +
        'that live for ever, so it must stay reachable. Plain http is right here (RFC 5280 §8). No slash at its end.',
    }),
    listen: ListenConfigSchema,
    proxies: Type.Optional(
      Type.Array(ProxyConfigSchema, {
        maxItems: 64,
        examples: [
          [
            {
              name: 'edge',
              certificateSha256: '00'.repeat(32),
              header: 'nginx',
              headerName: 'X-SSL-Client-Cert',
            },
          ],
        ],
        description:
          'A proxy that ends TLS for devices and tells us the certificate that a device showed. It shows us its own, of which ' +
          'certificateSha256 is the fingerprint; from anybody else such a header is refused. header is rfc9440 (Client-Cert and ' +
          'Client-Cert-Chain), xfcc (X-Forwarded-Client-Cert of Envoy), or nginx: $ssl_client_escaped_cert in a header that headerName ' +
          'names. The proxy must overwrite what its clients send in that header. One such table a proxy.',
      }),
    ),
    workers: Type.Integer({
      minimum: 1,
      maximum: 64,
      default: 1,
      description: 'Processes that serve; one for each core is right for a factory.',
    }),
    ledger: Type.Optional(
      Type.Object(
        {
          record: Type.String({
            minLength: 1,
            examples: ['/srv/other-disk/ledger.record'],
            description:
              'Where the record is, from this folder. To move it: stop the server, move the file, change this.',
          }),
        },
        {
          ...closed,
          examples: [{ record: '/srv/other-disk/ledger.record' }],
          description:
            'The record is a small file, only ever appended to, of what was issued and taken back: it brings back what a restored backup of ' +
            'the ledger lacks. It lies beside the ledger, as ledger.record; on another disk it outlives the first one.',
        },
      ),
    ),
    keys: Type.Object(
      {
        passphraseFile: Type.String({
          description:
            'Where the passphrase of the key files is (mode 0600), from this folder. BIRTHMARK_PASSPHRASE in the environment goes before it.',
        }),
      },
      closed,
    ),
    authorities: Type.Object(
      {
        root: AuthorityConfigSchema,
        idevid: AuthorityConfigSchema,
        ldevid: AuthorityConfigSchema,
        service: AuthorityConfigSchema,
      },
      {
        ...closed,
        description:
          'Read by init, and by `birthmark authority rotate` for the next generation: a certificate that is made does not change.',
      },
    ),
    rollover: Type.Optional(
      Type.Object(
        {
          publishedHours: Type.Integer({
            minimum: 0,
            maximum: 8760,
            examples: [24],
            description:
              'So long the next generation of an authority must have been published before it issues: 24 where it is not given. Devices ' +
              'that ask for CA certificates more often than that, and gates, know it by then.',
          }),
        },
        {
          ...closed,
          examples: [{ publishedHours: 24 }],
          description: 'How authorities are rolled over (docs/authorities.md).',
        },
      ),
    ),
    crl: Type.Object(
      {
        shards: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 64,
          description:
            'Partitions of each CRL. A certificate names its own when it is issued. May grow at any time, never shrink: one for each ' +
            '20,000 devices keeps lists small.',
        }),
        validityHours: Type.Integer({
          minimum: 1,
          maximum: 8_760,
          default: 168,
          description: 'From thisUpdate to nextUpdate. Replaced at half time.',
        }),
        coalesceSeconds: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: 86_400,
            examples: [60],
            description:
              'A revocation is in the list that the certificate names at once, and in the full list of its authority so many ' +
              'seconds after the one before at the latest: 60 where it is not given.',
          }),
        ),
        idp: Type.Optional(
          Type.Enum(['always', 'partitionedOnly'], {
            examples: ['partitionedOnly'],
            description:
              'Whether full lists and deltas carry the critical issuingDistributionPoint that shards always have. "always" suits who ' +
              'loads a full list where only lists with it count (EMQX); "partitionedOnly", which it is where it is not given, suits ' +
              'old programs that refuse it.',
          }),
        ),
      },
      closed,
    ),
    ocsp: Type.Optional({ ...OcspConfigSchema, description: 'The OCSP responder (RFC 6960).' }),
    status: Type.Optional({
      ...StatusConfigSchema,
      description: 'What gates beside brokers follow (docs/status-feed.md).',
    }),
    keyCompromise: Type.Optional({
      ...KeyCompromiseConfigSchema,
      description: 'Reports that a key is in wrong hands, proven by the key itself.',
    }),
    keyPolicy: Type.Object(
      {
        minRsaBits: Type.Integer({
          minimum: 2048,
          maximum: 8192,
          default: 2048,
          description: 'Smaller RSA keys are refused.',
        }),
        maxRsaBits: Type.Integer({
          minimum: 2048,
          maximum: 16_384,
          default: 8192,
          description: 'Larger ones too: they cost the server too much.',
        }),
        fermatRounds: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 100,
          description: 'Rounds of the test for primes that are too close.',
        }),
      },
      closed,
    ),
    hygiene: Type.Optional({
      ...HygieneConfigSchema,
      description: 'When birthmark hygiene speaks of a key or a device.',
    }),
    limits: Type.Object(
      {
        bodyOctets: Type.Integer({
          minimum: 4096,
          maximum: 16_777_216,
          default: 131_072,
          description: 'Largest body of a request that is no batch.',
        }),
        bodySeconds: Type.Integer({
          minimum: 1,
          maximum: 600,
          default: 15,
          description: 'Until such a body must be there.',
        }),
        idleSeconds: Type.Integer({
          minimum: 5,
          maximum: 3600,
          default: 120,
          description: 'A connection on which nothing moves is closed.',
        }),
      },
      closed,
    ),
    log: Type.Object(
      {
        level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug'], {
          default: 'info',
          description: 'Least level that is logged, on stderr, as JSON.',
        }),
      },
      closed,
    ),
    broker: Type.Optional({
      ...BrokerSectionSchema,
      description:
        'The broker of `serve --broker`: who may connect, and to which topics. Certificates under our own root are believed; ' +
        'broker.trust adds others. Listeners are mqtt and mqtt-ws (WebSocket; left out, there is none).',
    }),
    brokerAuth: Type.Optional({
      ...BrokerAuthSectionSchema,
      description:
        'The gate for brokers of other people on this machine, which ask over HTTP. Left out, there is none. Certificates under our ' +
        'own root are believed; brokerAuth.trust adds others.',
    }),
    est: Type.Optional({ ...EstConfigSchema, description: 'The EST door (RFC 7030).' }),
    rotation: Type.Optional({
      ...RotationConfigSchema,
      description: 'How certificates of devices take the place of each other (docs/rotation.md).',
    }),
    recovery: Type.Optional(
      Type.Object(
        {
          secondApproval: Type.Boolean({
            default: false,
            description:
              'Whether another person than who made a recovery ticket must approve it (birthmark ticket approve) before it is good.',
          }),
        },
        { ...closed, description: 'How a device whose IDevID is compromised comes back (docs/rotation.md).' },
      ),
    ),
    labels: Type.Optional(
      Type.Record(Type.String(), LabelConfigSchema, {
        description:
          'Who may enroll as what. EST has the label in its path (/.well-known/est/LABEL/simpleenroll), "default" is the one without.',
      }),
    ),
    profiles: Type.Record(Type.String(), ProfileConfigSchema, {
      description: 'What a certificate of each kind is. Validated at start.',
    }),
  },
  closed,
);

/** birthmark.toml as it is written, before the rules that a schema cannot say. */
export type Config = Static<typeof ConfigSchema>;
