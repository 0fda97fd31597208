import Type, { type Static } from 'typebox';
import { GuardConfigSchema } from '../../broker-auth/guard/guard-config.ts';
import { DEFAULT_BREAKER, parseGuard, provingListeners } from '../../broker-auth/guard/parse-guard.ts';
import { MosquittoConfigSchema } from '../../broker-auth/mosquitto-config.ts';
import { parsePolicy } from '../../broker-auth/parse-policy.ts';
import { PolicyConfigSchema } from '../../broker-auth/policy-config.ts';
import {
  BrokersConfigSchema,
  HttpConfigSchema,
  ListenConfigSchema,
} from '../../broker-auth/service-config.ts';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { checkService } from '../broker-auth/check-service.ts';
import { within } from './broker-config.ts';

const closed = { additionalProperties: false } as const;

/** What other people's brokers on this machine ask `serve`. */
export const BrokerAuthSectionSchema = Type.Object(
  {
    listen: { ...ListenConfigSchema, description: 'Where brokers ask.' },
    http: { ...HttpConfigSchema, description: 'How they ask: a table for each dialect that is spoken.' },
    mosquitto: Type.Optional({
      ...MosquittoConfigSchema,
      description: 'A Mosquitto with our plugin, which asks nobody but reads what is written for it.',
    }),
    brokers: Type.Optional(BrokersConfigSchema),
    ...PolicyConfigSchema.properties,
    guard: Type.Optional({
      ...GuardConfigSchema,
      description:
        'Who is kept away for how it behaves (MQTT 3.1.1 §5.4.8). By default, too; docs/behaviour-guard.md has the rules.',
    }),
  },
  closed,
);
export type BrokerAuthSection = Static<typeof BrokerAuthSectionSchema>;

/** Every device of ours by its serial number, to its own topics; a broker that shows names only may ask too. */
export const DEFAULT_BROKER_AUTH: BrokerAuthSection = {
  listen: { host: '127.0.0.1', port: 8090 },
  http: {
    emqx: { listener: 'devices', withoutKicks: true },
    vernemq: { listener: 'devices', withoutKicks: true },
    rabbitmq: { listener: 'names', withoutKicks: true },
    'mosquitto-go-auth': { listener: 'names' },
  },
  listeners: { devices: { evidence: 'certificate' }, names: { evidence: 'name' } },
  roles: [
    {
      name: 'device',
      clientId: { bind: 'equal', to: ['${id}'] },
      publish: ['devices/${id}/#'],
      subscribe: ['devices/${id}/#'],
    },
  ],
  guard: { exempt: [], breaker: DEFAULT_BREAKER },
};

/**
 * Checks what a schema cannot say of `brokerAuth`, all but the files that it names.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkBrokerAuth(section: BrokerAuthSection): void {
  const {
    listen: _listen,
    http: _http,
    mosquitto: _mosquitto,
    brokers: _brokers,
    guard,
    trust = [],
    ...rules
  } = section;
  const named = [...trust.map(({ namespace }) => namespace), OWN_NAMESPACE].map((namespace) => ({
    namespace,
    ...(namespace === OWN_NAMESPACE && { guests: { ownUnits: [] } }),
    anchors: [],
    intermediates: [],
  }));
  within('brokerAuth', () => {
    const policy = parsePolicy(rules, named);
    checkService(section, policy);
    parseGuard(guard, [...policy.listeners.keys()], provingListeners(policy.listeners));
  });
}
