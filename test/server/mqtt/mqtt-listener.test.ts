import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openAedesBroker } from '../../../src/broker-auth/adapters/aedes/aedes-broker.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { PolicyConfig } from '../../../src/broker-auth/policy-config.ts';
import { listenMqtt } from '../../../src/server/mqtt/mqtt-listener.ts';
import type { TlsIdentity } from '../../../src/server/tls-identity.ts';
import { keyPem, pem } from '../../broker-auth/adapters/aedes-house.ts';
import { policyConfig } from '../../broker-auth/lab.ts';
import { codeOfAsync, seededRandom } from '../../house.ts';
import { makeCertificate } from '../../x509/path/make-certificate.ts';
import type { KeyKind, SampleKey } from '../../x509/samples.ts';

function identity(cn: string, key: KeyKind | SampleKey = 'P-256'): TlsIdentity {
  const party = makeCertificate({ cn, key });
  return { version: () => cn, read: () => ({ cert: pem(party.der), key: keyPem(party) }) };
}

async function openListeners(listeners: PolicyConfig['listeners'], port = 0, key: KeyKind = 'P-256') {
  const { door, close } = await openAedesBroker({ broker: 'test', onFault: () => undefined });
  onTestFinished(close);
  const opened = await listenMqtt({
    door,
    tls: identity('broker', key),
    names: [{ serverName: 'other.example', tls: identity('other', key) }],
    listeners: parsePolicy(policyConfig({ listeners }), []).listeners,
    at: { host: '127.0.0.1', port, ...(listeners['mqtt-ws'] && { webSocketPort: 0 }) },
    random: seededRandom(),
    logger: pino({ level: 'silent' }),
  });
  onTestFinished(() => opened.close());
  return opened.addresses;
}

/** What a client finds, or `refused`. */
async function shakeHands(url: string, options: ConnectionOptions = {}): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ...options });
  try {
    await once(socket, 'secureConnect');
    return `${socket.getPeerX509Certificate()?.subject} ${socket.getCipher().standardName}`;
  } catch {
    return 'refused';
  } finally {
    socket.destroy();
  }
}

describe("the broker's listeners", () => {
  test('show the certificate of the name that a client asks for', async () => {
    const { mqtt, mqttWs = '' } = await openListeners({ mqtt: {}, 'mqtt-ws': {} });
    for (const url of [mqtt, mqttWs]) {
      expect(await shakeHands(url)).toContain('CN=broker');
      expect(await shakeHands(url, { servername: 'other.example' })).toContain('CN=other');
      expect(await shakeHands(url, { servername: 'unknown.example' })).toContain('CN=broker');
    }
  });

  test('speak as the preset of each demands', async () => {
    const { mqtt, mqttWs = '' } = await openListeners(
      { mqtt: { preset: 'cnsa-1' }, 'mqtt-ws': {} },
      0,
      'P-384',
    );
    const small = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } as const;
    expect(await shakeHands(mqtt, small)).toBe('refused');
    expect(await shakeHands(mqttWs, small)).toContain('AES_128_GCM');
    expect(await shakeHands(mqtt)).toContain('TLS_AES_256_GCM_SHA384');
    expect(await shakeHands(mqtt, { ecdhCurve: 'X25519' })).toBe('refused');
    expect(await shakeHands(mqtt, { servername: 'other.example', ...small })).toBe('refused');
  });

  test.each([
    ['cnsa-1', 'P-256', 'P-384'],
    ['fips-140', 'Ed25519', 'P-256'],
  ] as const)('of preset %s do not open with a key of their own on %s', async (preset, bad, good) => {
    expect(await codeOfAsync(openListeners({ mqtt: { preset } }, 0, bad))).toBe('config-invalid');
    expect(await openListeners({ mqtt: { preset } }, 0, good)).toHaveProperty('mqtt');
  });

  test('leave WebSocket out where the policy has no rules for it', async () => {
    expect(await openListeners({ mqtt: {} })).not.toHaveProperty('mqttWs');
  });

  test('say so where a port is taken', async () => {
    const { mqtt } = await openListeners({ mqtt: {} });
    expect(await codeOfAsync(openListeners({ mqtt: {} }, Number(new URL(mqtt).port)))).toBe('listen-failed');
  });
});
