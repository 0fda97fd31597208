import { renderTable } from '../config/render-config.ts';
import { type GateConfig, GateConfigSchema } from './gate-config.ts';

/** For EMQX, which shows certificates, and RabbitMQ, which shows names. */
const EXAMPLE: GateConfig = {
  identity: 'serialNumber',
  log: { level: 'info' },
  authority: {
    url: 'https://pki.example.com:8443',
    caFile: 'root.pem',
    tokenFile: 'gate.token',
    snapshotFile: 'status.ndjson',
  },
  listen: { host: '127.0.0.1', port: 8090 },
  http: {
    emqx: { listener: 'devices', secretFile: 'emqx.secret' },
    rabbitmq: { listener: 'names', vhost: '/', exchange: 'amq.topic' },
  },
  brokers: {
    emqx: { kind: 'emqx', url: 'http://127.0.0.1:18083', user: 'birthmark', passwordFile: 'emqx.api-secret' },
    rabbitmq: {
      kind: 'rabbitmq',
      url: 'http://127.0.0.1:15672',
      user: 'birthmark',
      passwordFile: 'rabbitmq.password',
    },
  },
  trust: [{ namespace: 'own', anchorFiles: ['root.pem'], intermediateFiles: ['ldevid.pem'] }],
  listeners: {
    devices: { evidence: 'certificate', status: 'hard', maxStatusAgeSeconds: 300, maxSessionSeconds: 86_400 },
    names: { evidence: 'name', status: 'hard' },
  },
  roles: [
    {
      name: 'device',
      clientId: { bind: 'equal', to: ['${id}'] },
      publish: ['devices/${id}/#'],
      subscribe: ['devices/${id}/#', 'fleet/news'],
    },
  ],
};

/** gate.toml with a comment over each key, out of the schema that validates it. */
export function renderExample(): string {
  return [
    '# The gate of `birthmark broker-auth serve`. Every key is explained over it; a key that is not known here is refused.',
    "# File names are from this file's folder.",
    ...renderTable([], GateConfigSchema, EXAMPLE),
  ].join('\n');
}
