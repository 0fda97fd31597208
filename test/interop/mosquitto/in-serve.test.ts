// The gate of a Mosquitto inside `birthmark serve`, with the house's own statuses.
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { probeCanaries } from '../../../src/broker-auth/canary.ts';
import { buildPart, canBuild } from '../../broker-auth/mosquitto/plugin-parts.ts';
import { issueDevice, until } from '../broker-auth/gate.ts';
import { opensslCsr } from '../csr-makers.ts';
import { useHouse } from '../use-house.ts';
import { hasMosquitto } from './broker.ts';
import { type HouseBroker, startHouseBroker } from './house-broker.ts';

const MOSQUITTO = `
[brokerAuth.mosquitto]
listener = "devices"
folder = "../gate"
eventsSocket = "../gate/events"
`;
const house = useHouse({
  configure: (toml) => `${toml}\n${MOSQUITTO}`,
  before: async (folder) => mkdirSync(path.join(folder, 'gate')),
});

describe.skipIf(!canBuild || !hasMosquitto)('a Mosquitto beside an authority that serves', () => {
  let broker: HouseBroker | undefined;
  afterAll(() => broker?.stop());

  test('lets in who is good, keeps out who was taken back, and the ledger has when', async () => {
    const { folder, pem, read, write } = house();
    const csr = write('broker.csr', await opensslCsr(folder, 'broker', 'P-256', 'broker'));
    const words = ['--profile', 'server', '--ip', '127.0.0.1', '--csr', csr, '--chain'];
    await house().must('issue', ...words, '--out', path.join(folder, 'broker.pem'));
    const [good, bad] = [
      await issueDevice(house(), 'good', 'SN-1'),
      await issueDevice(house(), 'bad', 'SN-2'),
    ];
    broker = await startHouseBroker({
      folder,
      ca: write('devices-ca.pem', read(pem('ldevid')) + read(pem('root'))),
      cert: `${folder}/broker.pem`,
      key: `${folder}/broker.key`,
      plugin: { file: buildPart('birthmark.so'), gateFolder: path.join(folder, 'gate') },
    });
    const target = { host: '127.0.0.1', port: broker.port, ca: readFileSync(pem('root'), 'utf8') };
    const client = ({ certificate, key }: typeof good, clientId: string) => ({
      clientId,
      certificate: readFileSync(certificate, 'utf8'),
      key: readFileSync(key, 'utf8'),
    });
    const found = () => probeCanaries(target, client(bad, 'SN-2'), client(good, 'SN-1'));
    await until(async () => (await found()) === 'open', 'both are let in');
    await house().must('revoke', '--serial', bad.serial, '--reason', 'superseded');
    await until(async () => (await found()) === 'good', 'the denial', 2000);
    const shown = () => house().must('certificate', 'show', bad.serial, '--json');
    await until(async () => (await shown()).includes('enforcedAt'), 'the word that it is enforced');
    expect(await house().must('audit', 'show', '--json')).toContain('certificate.seen');
  });

  test('lets in who is of an authority that came since, and keeps out who is of it and was taken back', async () => {
    const { pem } = house();
    await house().must('authority', 'rotate', 'ldevid', '--activate', 'now');
    const next = await issueDevice(house(), 'next', 'SN-3');
    const thief = await issueDevice(house(), 'thief', 'SN-4');
    for (const { certificate } of [next, thief])
      expect(new X509Certificate(readFileSync(certificate)).issuer).toMatch(/LDevID CA 2$/m);
    const target = { host: '127.0.0.1', port: broker?.port ?? 0, ca: readFileSync(pem('root'), 'utf8') };
    const client = ({ certificate, key }: typeof next, clientId: string) => ({
      clientId,
      // Mosquitto's cafile knows the root and the authority before: devices bring what is between.
      certificate: readFileSync(certificate, 'utf8') + readFileSync(pem('ldevid-2'), 'utf8'),
      key: readFileSync(key, 'utf8'),
    });
    const found = () => probeCanaries(target, client(thief, 'SN-4'), client(next, 'SN-3'));
    await until(async () => (await found()) === 'open', 'both are let in', 3000);
    await house().must('revoke', '--serial', thief.serial, '--reason', 'keyCompromise');
    await until(async () => (await found()) === 'good', 'the denial', 2000);
  });
});
