// `birthmark doctor --broker` at real Mosquittos: one that is set up as the preset asks, and others that are not.
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { openMosquittoGate } from '../../../src/broker-auth/adapters/mosquitto/mosquitto-gate.ts';
import type { Finding } from '../../../src/broker-auth/probe/probe-broker.ts';
import { Sessions } from '../../../src/broker-auth/sessions.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { certificateOf, DeniedList } from '../../broker-auth/mosquitto/denied-list.ts';
import { idOf, makeAuthorities, makeDevice, makePolicy } from '../../broker-auth/mosquitto/party.ts';
import { buildPart, canBuild } from '../../broker-auth/mosquitto/plugin-parts.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { runProgram } from '../run-program.ts';
import { type Broker, type BrokerOptions, hasMosquitto, startBroker } from './broker.ts';
import { until } from './until.ts';

const COMMAND = fileURLToPath(new URL('../../../bin/birthmark.mjs', import.meta.url));
const SUITES = [
  'ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384',
  'ciphers_tls1.3 TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384',
].join('\n');
/** Mosquitto has no word of its own for the groups of the key exchange: OpenSSL's configuration does it. */
const opensslConf = (lines: string) =>
  `openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n${lines}\n`;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe.skipIf(!canBuild || !hasMosquitto)('doctor at Mosquitto', () => {
  const authorities = makeAuthorities();
  const { issuing, other } = authorities;

  async function start(conf: string, options: Omit<BrokerOptions, 'env' | 'authorities'>): Promise<Broker> {
    const file = path.join(await temporary(), 'openssl.cnf');
    writeFileSync(file, opensslConf(conf));
    const broker = await startBroker({ ...options, authorities, env: { OPENSSL_CONF: file } });
    closers.push(() => broker.stop());
    return broker;
  }

  async function openGate(broker: Broker): Promise<DeniedList> {
    const source = new DeniedList(Date.now());
    const gate = await openMosquittoGate({
      broker: 'mosquitto',
      listener: 'mqtt',
      policy: makePolicy(authorities, { maxStatusAgeSeconds: 60 }),
      snapshotFile: broker.snapshot,
      keyFile: broker.keyFile,
      eventsPath: broker.events,
      source,
      sessions: new Sessions(),
      clock: Date.now,
      onError: (error) => console.log(error),
    });
    closers.unshift(() => gate.stop());
    gate.changed(source.apply(certificateOf(idOf(revoked, issuing)), true));
    const begun = Date.now();
    await gate.written();
    await until(() => (gate.health().taken?.issuedAt ?? 0) >= begun);
    return source;
  }

  const revoked = makeDevice('revoked', issuing);
  const clients: Readonly<Record<string, Party>> = {
    good: makeDevice('good', issuing),
    revoked,
    stranger: makeDevice('stranger', other),
    expired: makeDevice('expired', issuing, { fields: { notAfter: Date.now() - 2000 } }),
  };

  async function doctor(broker: Broker, preset: string) {
    const client = (name: string) => {
      const party = clients[name];
      if (!party) throw new Error(name);
      const { cert, key } = broker.files(name, party);
      chmodSync(key, 0o600);
      return `${cert},${key},${name}`;
    };
    const ca = path.join(broker.folder, 'root.pem');
    writeFileSync(ca, toPem('CERTIFICATE', authorities.root.der));
    const refused = ['revoked', 'stranger', 'expired'].flatMap((name) => ['--refused', client(name)]);
    const words = ['doctor', '--broker', `mqtts://127.0.0.1:${broker.port}`, '--preset', preset, '--ca', ca];
    const { status, out, err } = await runProgram(process.execPath, [
      ...[COMMAND, ...words, '--allowed', client('good'), ...refused, '--json'],
    ]);
    if (out === '') throw new Error(err);
    const findings = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding);
    return { status, states: Object.fromEntries(findings.map(({ name, state }) => [name, state])), out };
  }

  test('has nothing against one with the plugin, set up as fips-140 asks', async () => {
    const broker = await start('Groups = P-256:P-384', {
      plugin: buildPart('birthmark.so'),
      config: SUITES,
    });
    await openGate(broker);
    const { status, states, out } = await doctor(broker, 'fips-140');
    expect([states, out]).toEqual([
      {
        versions: 'ok',
        'tls-1.3': 'ok',
        suites: 'ok',
        groups: 'ok',
        server: 'ok',
        'server-keys': 'ok',
        'client-certificate': 'ok',
        allowed: 'ok',
        'refused revoked.pem': 'ok',
        'refused again revoked.pem': 'ok',
        'refused stranger.pem': 'ok',
        'refused again stranger.pem': 'ok',
        'refused expired.pem': 'ok',
      },
      out,
    ]);
    expect(status).toBe(0);
  });

  test('says what one lacks that asks nobody and takes all', async () => {
    const broker = await start('MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0', {
      config: 'tls_version tlsv1.1\nciphers ALL:@SECLEVEL=0\nallow_anonymous true\nrequire_certificate false',
    });
    const { status, states } = await doctor(broker, 'fips-140');
    expect(status).toBe(1);
    expect(states).toMatchObject({
      versions: 'failed',
      suites: 'failed',
      groups: 'failed',
      'client-certificate': 'failed',
      'refused revoked.pem': 'failed',
    });
  });

  test('notices a plugin that an option has switched off', async () => {
    const broker = await start('Groups = P-256', { config: `${SUITES}\nallow_anonymous true` });
    const { status, states } = await doctor(broker, 'fips-140');
    expect(status).toBe(1);
    expect(states).toMatchObject({
      versions: 'ok',
      'client-certificate': 'ok',
      'refused revoked.pem': 'failed',
      'refused expired.pem': 'ok',
    });
  });
});

async function temporary(): Promise<string> {
  const { mkdtemp, rm } = await import('node:fs/promises');
  const { tmpdir } = await import('node:os');
  const folder = await mkdtemp(path.join(tmpdir(), 'birthmark-doctor-'));
  closers.push(() => rm(folder, { recursive: true }));
  return folder;
}
