import { DEFAULT_RULES } from '../../broker-auth/guard/default-rules.ts';
import { DEFAULT_BREAKER } from '../../broker-auth/guard/parse-guard.ts';
import { renderTable } from '../config/render-config.ts';
import { type GateConfig, GateConfigSchema } from './gate-config.ts';

const BROKER = { host: 'broker.example.com', port: 8883, caFile: 'root.pem' };

/** For EMQX, which shows certificates, RabbitMQ, which shows names, and Mosquitto, whose plugin reads what is written for it. */
export const EXAMPLE: GateConfig = {
  identity: 'serialNumber',
  log: { level: 'info' },
  authority: {
    url: 'https://pki.example.com:8443',
    caFile: 'root.pem',
    tokenFile: 'gate.token',
    snapshotFile: 'status.ndjson',
  },
  status: {
    folder: 'status',
    crls: [
      {
        issuerFiles: ['acme-ca.pem'],
        urls: ['http://crl.acme.example/devices.crl', 'http://crl.acme.example/shards/{0-15}.crl'],
        files: ['acme-root.crl'],
        everySeconds: 300,
      },
    ],
    ocsp: [
      { issuerFiles: ['other-ca.pem'], url: 'http://ocsp.other.example', hash: 'sha256', everySeconds: 300 },
    ],
  },
  listen: { host: '127.0.0.1', port: 8090 },
  http: {
    emqx: { listener: 'devices', secretFile: 'emqx.secret' },
    rabbitmq: { listener: 'names', vhost: '/', exchange: 'amq.topic' },
  },
  mosquitto: {
    listener: 'devices',
    folder: '/var/lib/birthmark-gate',
    eventsSocket: '/run/birthmark-gate/events',
    canaries: {
      everySeconds: 60,
      ...BROKER,
      denied: { certificateFile: 'canary-1.pem', keyFile: 'canary-1.key', clientId: 'CANARY-1' },
      allowed: { certificateFile: 'canary-2.pem', keyFile: 'canary-2.key', clientId: 'CANARY-2' },
    },
  },
  crlFiles: [
    {
      file: '/etc/mosquitto/devices.crl',
      urls: ['http://pki.example.com:8080/crl/root.crl', 'http://pki.example.com:8080/crl/ldevid.crl'],
      issuerFiles: ['root.pem', 'ldevid.pem'],
      everySeconds: 300,
      pidFile: '/run/mosquitto/mosquitto.pid',
      canaries: {
        ...BROKER,
        denied: { certificateFile: 'revoked.pem', keyFile: 'revoked.key', clientId: 'CANARY-3' },
        allowed: { certificateFile: 'canary-2.pem', keyFile: 'canary-2.key', clientId: 'CANARY-2' },
      },
    },
  ],
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
  guard: { rules: [...DEFAULT_RULES], exempt: ['10.20.0.0/16', 'device:own/GW-*'], breaker: DEFAULT_BREAKER },
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
