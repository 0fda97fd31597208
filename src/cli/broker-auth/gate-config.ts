import Type, { type Static } from 'typebox';
import { GuardConfigSchema } from '../../broker-auth/guard/guard-config.ts';
import { CrlFilesConfigSchema, MosquittoConfigSchema } from '../../broker-auth/mosquitto-config.ts';
import { PolicyConfigSchema } from '../../broker-auth/policy-config.ts';
import {
  AuthorityConfigSchema,
  BrokersConfigSchema,
  HttpConfigSchema,
  ListenConfigSchema,
} from '../../broker-auth/service-config.ts';
import { StatusConfigSchema } from '../../broker-auth/status-config.ts';

const closed = { additionalProperties: false } as const;

/** gate.toml: what `birthmark broker-auth serve` is told. File names in it are from its own folder. */
export const GateConfigSchema = Type.Object(
  {
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug'], {
            description: 'The least that is logged: info where it is not given.',
          }),
        },
        closed,
      ),
    ),
    authority: Type.Optional({
      ...AuthorityConfigSchema,
      description: 'Where statuses come from, as they change. This, or [status], or both.',
    }),
    status: Type.Optional({
      ...StatusConfigSchema,
      description:
        'Revocation lists and OCSP responders beside it, for other CAs or for the day on which it is away.',
    }),
    listen: { ...ListenConfigSchema, description: 'Where brokers ask.' },
    http: Type.Optional({
      ...HttpConfigSchema,
      description: 'How they ask: a table for each dialect that is spoken.',
    }),
    mosquitto: Type.Optional({
      ...MosquittoConfigSchema,
      description: 'A Mosquitto with our plugin, which asks nobody but reads what is written for it.',
    }),
    crlFiles: Type.Optional(CrlFilesConfigSchema),
    brokers: Type.Optional(BrokersConfigSchema),
    commandSocket: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['/run/birthmark-gate/commands'],
        description:
          'A Unix socket, mode 0600, by which `birthmark broker-auth blocks` reaches the gate: beside authority.snapshotFile (….sock), or in status.folder, ' +
          'where it is not given.',
      }),
    ),
    ...PolicyConfigSchema.properties,
    guard: Type.Optional({
      ...GuardConfigSchema,
      description:
        'Who is kept away for how it behaves (MQTT 3.1.1 §5.4.8). By default, too; docs/behaviour-guard.md has the rules.',
    }),
  },
  closed,
);
export type GateConfig = Static<typeof GateConfigSchema>;
