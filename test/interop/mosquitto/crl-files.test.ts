import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CanaryFinding, probeCanaries } from '../../../src/broker-auth/canary.ts';
import { publishCrlFile, runCommand, signalProcess } from '../../../src/broker-auth/crl-files.ts';
import { toPem } from '../../../src/x509/pem.ts';
import { makeDevice, NOW } from '../../broker-auth/mosquitto/party.ts';
import type { Party } from '../../x509/path/make-certificate.ts';
import { type CrlTraits, makeCrl } from '../../x509/path/make-crl.ts';
import { type Broker, hasMosquitto, startBroker } from './broker.ts';

// CRL files as Mosquitto 2.0 reads them, and what it must never be given.

describe.skipIf(!hasMosquitto)('the CRL file of a Mosquitto', () => {
  let broker: Broker;
  let file = '';
  let number = 1;
  let clients: { readonly bad: Party; readonly good: Party };

  const list = (traits: Partial<CrlTraits> = {}) => {
    number += 1;
    const { issuing } = broker.authorities;
    return makeCrl({
      issuer: issuing,
      listed: [{ certificate: clients.bad }],
      number,
      thisUpdate: NOW - 5000 + number,
      nextUpdate: NOW + 3_600_000,
      ...traits,
    });
  };
  const others = () => {
    const { root, other } = broker.authorities;
    return [list({ issuer: root, listed: [] }), list({ issuer: other, listed: [] })];
  };

  function prove(): Promise<CanaryFinding> {
    const ca = toPem('CERTIFICATE', broker.authorities.root.der);
    const client = (clientId: string, { der, key }: Party) => ({
      clientId,
      certificate: toPem('CERTIFICATE', der),
      key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    });
    const target = { host: '127.0.0.1', port: broker.port, ca };
    return probeCanaries(target, client('bad', clients.bad), client('good', clients.good));
  }

  const publish = (lists: readonly Uint8Array[]) => {
    const { root, issuing, other } = broker.authorities;
    const pidFile = path.join(broker.folder, 'pid');
    writeFileSync(pidFile, `${broker.pid()}\n`);
    const issuers = [root, issuing, other].map(({ der }) => der);
    return publishCrlFile(
      { file, issuers, clock: Date.now, reload: () => signalProcess(pidFile), prove },
      lists,
    );
  };

  beforeAll(async () => {
    broker = await startBroker({
      config: (folder, { root, issuing, other }) => {
        file = path.join(folder, 'live.crl');
        const traits = { thisUpdate: NOW - 60_000, nextUpdate: NOW + 3_600_000 };
        const lists = [root, issuing, other].map((issuer) => makeCrl({ issuer, ...traits }));
        writeFileSync(file, lists.map((der) => toPem('X509 CRL', der)).join(''));
        return `use_subject_as_username true\ncrlfile ${file}`;
      },
    });
    const { issuing } = broker.authorities;
    clients = { bad: makeDevice('bad', issuing), good: makeDevice('good', issuing) };
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.log(broker.log());
  });
  afterAll(() => broker.stop());

  test('keeps out who is on it, which two clients prove', async () => {
    expect(await prove()).toBe('open');
    expect(await publish([list(), ...others()])).toEqual({ outcome: 'published', proof: 'good' });
    expect(await prove()).toBe('good');
  });

  test('is said to prove nothing where the client that must fail is not on it', async () => {
    expect(await publish([list({ listed: [] }), ...others()])).toEqual({
      outcome: 'published',
      proof: 'open',
    });
    expect(await publish([list(), ...others()])).toEqual({ outcome: 'published', proof: 'good' });
  });

  test.each<[string, () => readonly Uint8Array[], string]>([
    ['one that is cut off', () => [list().subarray(0, -3), ...others()], 'list 1 cannot be read'],
    [
      'one that another signed',
      () => [list({ key: clients.good.key }), ...others()],
      'list 1 is not signed by',
    ],
    [
      'one that is over',
      () => [list({ nextUpdate: NOW - 1000 }), ...others()],
      'list 1 of "CN=Devices" is over',
    ],
    ['one of the future', () => [list({ thisUpdate: NOW + 3_600_000 }), ...others()], 'is from the future'],
    ['an older one', () => [list({ number: 1 }), ...others()], 'list 1 is older than the one in the file'],
    ['a delta', () => [list({ base: 1 }), ...others()], 'is a delta'],
    ['one without that of a CA', () => [list()], 'there is no list of "CN=Root"'],
  ])('is not replaced by %s', async (_, make, detail) => {
    const before = readFileSync(file);
    expect(await publish(make())).toEqual({ outcome: 'refused', detail: expect.stringContaining(detail) });
    expect(readFileSync(file)).toEqual(before);
    expect(await prove()).toBe('good');
  });

  test('is replaced where what is there is broken', async () => {
    writeFileSync(file, 'nonsense');
    expect(await publish([list(), ...others()])).toEqual({ outcome: 'published', proof: 'good' });
  });

  test('is reloaded by a command as well, and one that fails is said', async () => {
    await runCommand(['kill', '-HUP', String(broker.pid())]);
    expect(await prove()).toBe('good');
    await expect(runCommand(['false'])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(signalProcess(file)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
