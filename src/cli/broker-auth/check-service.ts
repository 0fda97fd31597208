import { isLoopback } from '../../broker-auth/http.ts';
import type { CrlFileConfig, MosquittoConfig } from '../../broker-auth/mosquitto-config.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import type { BrokerConfig, HttpConfig, ListenConfig } from '../../broker-auth/service-config.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { GateConfig } from './gate-config.ts';

export interface ServiceConfig {
  readonly listen: ListenConfig;
  readonly http?: HttpConfig;
  readonly mosquitto?: MosquittoConfig;
  readonly crlFiles?: readonly CrlFileConfig[];
  readonly brokers?: Readonly<Record<string, BrokerConfig>>;
  readonly roles: readonly {
    readonly name: string;
    readonly publish?: readonly string[];
    readonly subscribe?: readonly string[];
    readonly deny?: readonly string[];
  }[];
}

/** Dialects whose brokers show a name and nothing else. */
const NAMES_ONLY: readonly string[] = ['rabbitmq', 'mosquitto-go-auth'];

/**
 * Holds what the gate's listener is told to what a schema cannot say: that nobody but a broker can ask, and that no broker
 * is told to ask in vain.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkService(config: ServiceConfig, policy: GatePolicy): void {
  const { listen, http = {}, mosquitto, crlFiles = [], brokers = {}, roles } = config;
  checkListen(listen);
  if (mosquitto) checkMosquitto(mosquitto, brokers, policy);
  for (const [at, { pidFile, command }] of crlFiles.entries())
    if ((pidFile === undefined) === (command === undefined))
      throw invalid(`crlFiles.${at}`, 'give pidFile or command, one of them');
  for (const [name, broker] of Object.entries(brokers)) checkBroker(broker, `brokers.${name}`);
  for (const [name, dialect] of Object.entries(http)) {
    const field = `http.${name}`;
    const listeners = 'listeners' in dialect ? dialect.listeners : undefined;
    if (listeners && dialect.secretFile === undefined && listen.certificateFile === undefined)
      throw invalid(
        `${field}.listeners`,
        'who may say by which listener a client came must prove itself: give secretFile',
      );
    for (const listener of [dialect.listener, ...Object.values(listeners ?? {})]) {
      const rules = policy.listeners.get(listener);
      if (!rules) throw invalid(`${field}.listener`, `the policy has no listener ${listener}`);
      if (NAMES_ONLY.includes(name) && rules.evidence === 'certificate')
        throw invalid(
          `listeners.${listener}.evidence`,
          `${name} shows a name and no certificate: say evidence = "name", and read what that means`,
        );
    }
    const broker = dialect.broker ?? name;
    const kind = brokers[broker]?.kind;
    if (kind !== undefined && kind !== name)
      throw invalid(`${field}.broker`, `brokers.${broker} is a ${kind}`);
    if ('withoutKicks' in dialect && dialect.withoutKicks === true) {
      if (kind !== undefined)
        throw invalid(`${field}.withoutKicks`, `there is brokers.${broker}: leave it out`);
    } else if (kind === undefined && name !== 'mosquitto-go-auth')
      throw invalid(
        field,
        `nothing could end a session there when its device is taken back: name its management API in [brokers.${broker}], or say ` +
          'withoutKicks = true',
      );
  }
  if (http.rabbitmq) checkRoutable(http.rabbitmq.listener, policy, roles);
}

/**
 * Holds a gate that stands alone to this: somebody must tell who was taken back, and in words that go with what a broker shows.
 *
 * @throws BirthmarkError `config-invalid`
 */
export function checkSources(
  { authority, status, mosquitto }: Pick<GateConfig, 'authority' | 'status' | 'mosquitto'>,
  { listeners }: GatePolicy,
): void {
  const asked = [...listeners.values()].filter((listener) => listener.status !== 'off');
  if (asked.length > 0 && !authority && !status)
    throw invalid('authority', 'nobody tells of statuses: give [authority] or [status]');
  if (authority) return;
  const named = asked.find(({ evidence }) => evidence !== 'certificate');
  if (named)
    throw invalid(
      `listeners.${named.name}.evidence`,
      'lists tell of certificates and not of names: follow an authority, or ask for the certificate',
    );
  if (mosquitto)
    throw invalid('mosquitto', 'its snapshot is made of what an authority tells: give [authority]');
}

function checkMosquitto(
  { listener, broker = 'mosquitto' }: MosquittoConfig,
  brokers: Readonly<Record<string, BrokerConfig>>,
  policy: GatePolicy,
): void {
  if (!policy.listeners.has(listener))
    throw invalid('mosquitto.listener', `the policy has no listener ${listener}`);
  if (broker in brokers)
    throw invalid('mosquitto.broker', `brokers.${broker} is another one: give it a name of its own`);
}

function checkListen({ host, certificateFile, keyFile, clientCaFile, clientSha256 }: ListenConfig): void {
  const given = [certificateFile, keyFile, clientCaFile].filter((file) => file !== undefined).length;
  if (given !== 0 && given !== 3)
    throw invalid('listen', 'certificateFile, keyFile and clientCaFile go together');
  if (given === 0 && !isLoopback(host))
    throw invalid(
      'listen.host',
      `${host} is reached from elsewhere: give certificateFile, keyFile and clientCaFile, or listen on 127.0.0.1`,
    );
  if (given === 0 && clientSha256)
    throw invalid('listen.clientSha256', 'without clientCaFile nobody shows a certificate');
}

function checkBroker({ url, kind, user, banSeconds }: BrokerConfig, field: string): void {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'http:' && !isLoopback(hostname.replace(/^\[|\]$/g, '')))
    throw invalid(`${field}.url`, 'a password goes there: use https anywhere but on loopback');
  if (kind !== 'vernemq' && user === undefined) throw invalid(`${field}.user`, 'it is missing');
  if (kind === 'vernemq' && user !== undefined)
    throw invalid(`${field}.user`, 'VerneMQ has keys and no users: leave it out');
  if (kind !== 'emqx' && banSeconds !== undefined) throw invalid(`${field}.banSeconds`, 'only EMQX bans');
}

/**
 * RabbitMQ routes `a.b` as `a/b`: a rule with a dot in it would mean another topic than it says. And it delivers `$…` to who subscribes
 * to `#`, so nobody may publish there.
 */
function checkRoutable(listener: string, policy: GatePolicy, roles: ServiceConfig['roles']): void {
  const named = policy.listeners.get(listener)?.roles;
  for (const [index, role] of roles.entries()) {
    if (named && !named.includes(role.name)) continue;
    for (const key of ['publish', 'subscribe', 'deny'] as const)
      for (const filter of role[key] ?? [])
        if (/[.*]/.test(filter.replace(/\$\{[^}]*\}/g, '')))
          throw invalid(`roles.${index}.${key}`, `${filter}: RabbitMQ knows no . and no * in topics`);
    const hidden = role.publish?.find((filter) => /^\$(?!\{)/.test(filter));
    if (hidden !== undefined)
      throw invalid(
        `roles.${index}.publish`,
        `${hidden}: RabbitMQ would deliver it to whoever subscribes to #; leave it out, or name a listener of another broker`,
      );
  }
  const odd = policy.trust.find(({ namespace }) => /[.*]/.test(namespace));
  if (odd) throw invalid('trust', `${odd.namespace}: RabbitMQ knows no . and no * in topics`);
}

function invalid(field: string, rule: string): BirthmarkError {
  return new BirthmarkError('config-invalid', `${field}: ${rule}`, { field });
}
