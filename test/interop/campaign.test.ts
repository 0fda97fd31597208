// Sixty devices are carried over by a campaign from the command line; the server is killed in the middle of it.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createCsr } from '../../src/x509/create-csr.ts';
import { useHouse } from './use-house.ts';

const house = useHouse();
const DEVICES = 60;

interface Device {
  readonly serialNumber: string;
  key: KeyObject;
  certificate: string;
}

interface Sent {
  readonly method?: string;
  readonly token?: string;
  readonly type?: string;
  readonly as?: Device;
}

/** A request over TLS, with a device's certificate where it is one's. */
function send(path: string, body: string, { method = 'POST', token, type, as }: Sent): Promise<string> {
  const agent = new Agent({
    ca: readFileSync(house().pem('root')),
    ...(as && { cert: as.certificate, key: as.key.export({ type: 'pkcs8', format: 'pem' }) }),
  });
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(`/api/v1${path}`, house().tlsUrl),
      {
        method,
        agent,
        headers: {
          'content-type': type ?? 'application/json',
          ...(token && { authorization: `Bearer ${token}` }),
        },
      },
      (answer) => {
        let text = '';
        answer.on('data', (part: Buffer) => {
          text += part.toString();
        });
        answer.on('end', () =>
          answer.statusCode === 200 ? resolve(text) : reject(new Error(`${answer.statusCode} ${text}`)),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const chainOf = ({ certificate, chain }: { certificate: string; chain: readonly string[] }) =>
  [certificate, ...chain].join('');

async function makeFleet(token: string): Promise<Device[]> {
  const made = Array.from({ length: DEVICES }, (_, at) => ({ serialNumber: `SN-${at}`, key: newKey() }));
  const lines = made.map(({ serialNumber, key }) =>
    JSON.stringify({ serialNumber, batch: 'B-7', csr: createCsr(key).toString('base64') }),
  );
  const answers = await send('/factory/batch?profile=ldevid', `${lines.join('\n')}\n`, {
    token,
    type: 'application/x-ndjson',
  });
  const issuer = readFileSync(house().pem('ldevid'), 'utf8');
  return answers
    .trimEnd()
    .split('\n')
    .map((line, at) => ({ ...made[at]!, certificate: `${JSON.parse(line).certificate}${issuer}` }));
}

test('a campaign goes on after a kill -9 in its middle: nobody twice, nobody lost', async () => {
  const factory = await house().tokenFile('factory', '--role', 'factory', '--profile', 'ldevid');
  const gate = await house().tokenFile('gate', '--role', 'gate', '--listener', 'mqtt');
  const auditor = await house().tokenFile('auditor', '--role', 'auditor');
  const devices = new Map((await makeFleet(factory)).map((device) => [device.serialNumber, device]));
  const issuerKeyId = await house()
    .program('openssl', 'x509', '-in', house().pem('ldevid'), '-noout', '-ext', 'subjectKeyIdentifier')
    .then((text) => text.trim().split('\n').at(-1)!.trim().replaceAll(':', '').toLowerCase());

  const plan = ['campaign', 'plan', 'recall', '--batch', 'B-7', '--wave-size', '15', '--gate', '100'];
  const planned = JSON.parse(await house().must(...plan, '--json'));
  expect(planned).toMatchObject({
    state: 'planned',
    members: { waiting: DEVICES },
    blastRadius: { devices: DEVICES, certificates: DEVICES, canRecover: 0, neverSeen: DEVICES },
    prediction: { waves: 4 },
  });
  await house().must('campaign', 'start', 'recall');
  const again = await house().birthmark('campaign', 'start', 'recall');
  expect([again.status, again.err]).toEqual([1, expect.stringContaining('is running (started by local at ')]);

  const renewed = new Set<string>();
  let killed = false;
  for (let turn = 0; turn < 500; turn += 1) {
    const { items: called } = JSON.parse(
      await send('/campaigns/recall/members?state=called', '', { method: 'GET', token: auditor }),
    );
    const seen: object[] = [];
    for (const { serialNumber } of called) {
      const device = devices.get(serialNumber)!;
      if (renewed.has(serialNumber)) continue;
      const key = newKey();
      const body = JSON.stringify({ csr: createCsr(key).toString('base64'), profile: 'ldevid' });
      const answer = JSON.parse(await send('/enroll', body, { as: device }));
      Object.assign(device, { key, certificate: chainOf(answer) });
      renewed.add(serialNumber);
      const at = new Date().toISOString();
      seen.push({ issuerKeyId, serial: answer.serial, at, listener: 'mqtt' });
      if (renewed.size === DEVICES / 2 && !killed) {
        killed = true;
        await house().kill();
        await house().restart();
      }
    }
    if (seen.length > 0) await send('/sightings', JSON.stringify({ seen }), { token: gate });
    const { state } = JSON.parse(await send('/campaigns/recall', '', { method: 'GET', token: auditor }));
    if (state === 'done') break;
    await sleep(200);
  }
  expect(killed).toBe(true);
  expect(JSON.parse(await house().must('campaign', 'status', 'recall', '--json'))).toMatchObject({
    state: 'done',
    members: { replaced: DEVICES },
    wave: 4,
  });
  expect(renewed.size).toBe(DEVICES);
  for (const serialNumber of renewed) {
    const { certificates } = JSON.parse(
      await send(`/devices/${serialNumber}`, '', { method: 'GET', token: auditor }),
    );
    expect(certificates, serialNumber).toHaveLength(2);
  }
  const acts = await house().must('audit', 'show', '--json', '--limit', '10000');
  expect(acts.match(/campaign\.wave/g)).toHaveLength(4);
  expect(acts.match(/campaign\.done/g)).toHaveLength(1);
});

test('another campaign is planned, looked at and forgotten, and its name is free again', async () => {
  const words = ['campaign', 'plan', 'looked-at', '--batch', 'B-7', '--dry-run', '--json'];
  for (let times = 0; times < 2; times += 1)
    expect(JSON.parse(await house().must(...words))).toMatchObject({ blastRadius: { devices: DEVICES } });
  expect(await house().birthmark('campaign', 'status', 'looked-at')).toMatchObject({ status: 1 });
});
