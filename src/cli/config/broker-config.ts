import Type, { type Static } from 'typebox';
import { GuardConfigSchema } from '../../broker-auth/guard/guard-config.ts';
import { DEFAULT_BREAKER, parseGuard, provingListeners } from '../../broker-auth/guard/parse-guard.ts';
import { parsePolicy } from '../../broker-auth/parse-policy.ts';
import { PolicyConfigSchema } from '../../broker-auth/policy-config.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { isDnsName, OWN_NAMESPACE } from '../../core/identifiers.ts';
import { MQTT_LISTENER, WEB_SOCKET_LISTENER } from '../../server/mqtt/listener-names.ts';

const closed = { additionalProperties: false } as const;

const ServerNameSchema = Type.Object(
  {
    serverName: Type.String({ minLength: 1, description: 'The DNS name that clients ask for (SNI).' }),
    certificateFile: Type.String({
      minLength: 1,
      description: 'PEM, the leaf first, then what is between it and its root.',
    }),
    keyFile: Type.String({
      minLength: 1,
      description: 'Its key: PEM, mode 0600; if it is encrypted, with the passphrase of the key files.',
    }),
  },
  closed,
);

/** What `serve --broker` lets in, and to which topics. */
export const BrokerSectionSchema = Type.Object(
  {
    ...PolicyConfigSchema.properties,
    renewalTopic: Type.Optional(
      Type.String({
        pattern: '^[^+#]*\\$\\{id\\}[^+#]*$',
        maxLength: 256,
        examples: ['devices/${id}/renewal'],
        description:
          'Where each device finds, as a retained message, when its certificate is to be renewed (docs/rotation.md); its role must let ' +
          'it subscribe there. devices/${id}/renewal where it is not given. Devices of other namespaces are told only where it has ${namespace}.',
      }),
    ),
    serverNames: Type.Optional(
      Type.Array(ServerNameSchema, {
        maxItems: 64,
        description: 'Other certificates for clients that ask for other names, a table each.',
      }),
    ),
    guard: Type.Optional({
      ...GuardConfigSchema,
      description:
        'Who is kept away for how it behaves (MQTT 3.1.1 §5.4.8). By default, too; docs/behaviour-guard.md has the rules.',
    }),
  },
  closed,
);
export type BrokerSection = Static<typeof BrokerSectionSchema>;

export const DEFAULT_RENEWAL_TOPIC = 'devices/${id}/renewal';

/** Every device of ours by its serial number, to its own topics. */
export const DEFAULT_BROKER: BrokerSection = {
  listeners: { [MQTT_LISTENER]: { preset: 'transport' }, [WEB_SOCKET_LISTENER]: { preset: 'transport' } },
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
 * Checks what a schema cannot say of `broker`, all but the files that it names.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkBroker({
  serverNames = [],
  guard,
  trust = [],
  renewalTopic: _topic,
  ...rules
}: BrokerSection): void {
  const named = [...trust.map(({ namespace }) => namespace), OWN_NAMESPACE].map((namespace) => ({
    namespace,
    ...(namespace === OWN_NAMESPACE && { guests: { ownUnits: [] } }),
    anchors: [],
    intermediates: [],
  }));
  const { listeners } = within('broker', () => parsePolicy(rules, named));
  if (!listeners.has(MQTT_LISTENER)) throw invalid('broker.listeners', `there is no ${MQTT_LISTENER}`);
  const other = [...listeners.keys()].find((name) => name !== MQTT_LISTENER && name !== WEB_SOCKET_LISTENER);
  if (other !== undefined)
    throw invalid(
      `broker.listeners.${other}`,
      `this broker has ${MQTT_LISTENER} and ${WEB_SOCKET_LISTENER}, and no other`,
    );
  const odd = serverNames.find(({ serverName }) => !isDnsName(serverName));
  if (odd) throw invalid('broker.serverNames', `${JSON.stringify(odd.serverName)} is no DNS name`);
  within('broker', () => parseGuard(guard, [...listeners.keys()], provingListeners(listeners)));
}

/** Errors name the section that they are in. */
export function within<T>(section: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof BirthmarkError)) throw error;
    throw new BirthmarkError(error.code, `${section}.${error.message}`, {
      cause: error,
      field: `${section}.${error.field ?? ''}`,
    });
  }
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
