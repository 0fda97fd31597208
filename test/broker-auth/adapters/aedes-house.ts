// Aedes behind real TLS listeners of any Node server, and mqtt.js as its clients.
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { Aedes } from 'aedes';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type AedesDoor, createAedesDoor } from '../../../src/broker-auth/adapters/aedes/aedes-door.ts';
import { acceptWebSockets } from '../../../src/broker-auth/adapters/aedes/web-socket.ts';
import { assembleGate } from '../../../src/broker-auth/assemble-gate.ts';
import type { ConnectVerdict } from '../../../src/broker-auth/decide.ts';
import type { Gate } from '../../../src/broker-auth/gate.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { PolicyConfig } from '../../../src/broker-auth/policy-config.ts';
import type { BehaviourGuard, EndCause } from '../../../src/broker-auth/ports.ts';
import { EXTENDED_KEY_USAGE, subjectAltName } from '../../../src/x509/extensions.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { type TestClock, testClock } from '../../house.ts';
import { makeAuthority, makeCertificate, NOW, type Party } from '../../x509/path/make-certificate.ts';
import { type Maker, makeMaker, policyConfig, type ToldStatus, toldStatus } from '../lab.ts';

export interface AedesHouse extends AsyncDisposable {
  readonly aedes: Aedes;
  readonly door: AedesDoor;
  readonly gate: Gate;
  readonly maker: Maker;
  readonly clock: TestClock;
  readonly status: ToldStatus;
  readonly verdicts: ConnectVerdict[];
  readonly ended: { readonly clientIds: readonly string[]; readonly cause: EndCause }[];
  readonly faults: unknown[];
  readonly url: string;
  /** Who issued the broker's certificate. */
  readonly brokerRoot: Party;
  readonly webSocketUrl: string;
  /** Begins to connect; `clientId` is the device's own unless it is said. */
  client(device: Party | undefined, options: IClientOptions & { readonly url?: string }): MqttClient;
  /** Connects, or gives the code of the CONNACK. */
  connect(
    device: Party | undefined,
    options: IClientOptions & { readonly url?: string },
  ): Promise<MqttClient | number>;
  settled(): Promise<void>;
}

const DAY = 86_400_000;
/** Clients judge the broker by the clock of this machine, and the gate judges devices by that of the test. */
const TODAY = { notBefore: Date.now() - DAY, notAfter: Date.now() + DAY };
const brokerRoot = makeAuthority({ cn: 'broker root', fields: TODAY });
const brokerCertificate = makeCertificate({
  cn: 'broker',
  issuer: brokerRoot,
  purposes: [EXTENDED_KEY_USAGE.serverAuth],
  extra: [subjectAltName([{ kind: 'dns', name: 'localhost' }])],
  fields: TODAY,
});
const maker = makeMaker('own');

export interface AedesHouseOptions {
  readonly config?: PolicyConfig;
  readonly tls?: TlsOptions;
  readonly guard?: BehaviourGuard;
}

export async function openAedesHouse({
  config,
  tls = {},
  guard,
}: AedesHouseOptions = {}): Promise<AedesHouse> {
  const clock = testClock(NOW);
  const status = toldStatus(clock, [maker.root, maker.issuer]);
  const aedes = await Aedes.createBroker();
  const faults: unknown[] = [];
  const verdicts: ConnectVerdict[] = [];
  const ended: AedesHouse['ended'] = [];
  const door = createAedesDoor({ aedes, onFault: (error) => faults.push(error) });
  const listeners = { mqtt: {}, 'mqtt-ws': {} };
  const { gate, enforcer } = assembleGate({
    policy: parsePolicy(config ?? policyConfig({ listeners }), [maker.trust]),
    sources: [status],
    drivers: [door.driver],
    clock: clock.now,
    random: (size) => new Uint8Array(size),
    ...(guard && { guard }),
    onVerdict: (_attempt, verdict) => verdicts.push(verdict),
    onEnded: (gone, cause) => ended.push({ clientIds: gone.map(({ clientId }) => clientId), cause }),
    onError: (error) => faults.push(error),
  });
  door.guard(gate);
  const context: TlsOptions = {
    cert: pem(brokerCertificate.der),
    key: keyPem(brokerCertificate),
    requestCert: true,
    rejectUnauthorized: false,
    ...tls,
  };
  const secure = createServer(context, (socket) => door.accept('mqtt', socket));
  const https = createHttpsServer(context);
  const endWebSockets = acceptWebSockets({ server: https, door, listener: 'mqtt-ws', path: '/mqtt' });
  for (const one of [secure, https]) {
    one.listen(0, '127.0.0.1');
    await once(one, 'listening');
  }
  const port = (one: typeof secure) => (one.address() as AddressInfo).port;
  const url = `mqtts://localhost:${port(secure)}`;
  const clients: MqttClient[] = [];
  const house: AedesHouse = {
    aedes,
    door,
    gate,
    maker,
    clock,
    status,
    verdicts,
    ended,
    faults,
    url,
    brokerRoot,
    webSocketUrl: `wss://localhost:${port(https)}/mqtt`,
    client(device, { url: to = url, ...options }) {
      const client = connect(to, {
        ca: pem(brokerRoot.der),
        ...(device && { cert: pem(device.der, maker.issuer.der), key: keyPem(device) }),
        reconnectPeriod: 0,
        connectTimeout: 5000,
        ...options,
      });
      client.on('error', () => undefined);
      clients.push(client);
      return client;
    },
    connect(device, options) {
      const client = house.client(device, options);
      return new Promise((resolve) => {
        client.once('connect', () => resolve(client));
        client.once('error', (error) => resolve('code' in error ? Number(error.code) : Number.NaN));
        client.once('close', () => resolve(Number.NaN));
      });
    },
    settled: () => enforcer.settled(),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end(true);
      enforcer.stop();
      endWebSockets();
      await new Promise<void>((resolve) => aedes.close(resolve));
      for (const one of [secure, https]) one.close();
    },
  };
  return house;
}

export function pem(...ders: readonly Uint8Array[]): string {
  return ders.map((der) => toPem('CERTIFICATE', der)).join('');
}

export function keyPem({ key }: Party): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
