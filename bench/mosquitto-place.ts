import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createCsr } from '../src/x509/create-csr.ts';
import { startHouseBroker } from '../test/interop/mosquitto/house-broker.ts';
import type { BenchHouse } from './house.ts';
import type { MqttPlace } from './mqtt-devices.ts';

const MAIN = fileURLToPath(new URL('../bin/birthmark.mjs', import.meta.url));
const SOURCES = fileURLToPath(new URL('../integrations/mosquitto', import.meta.url));
const PLUGIN = join(SOURCES, 'build', 'birthmark.so');
const READY_MS = 30_000;

/** What keeps Mosquitto from being measured; undefined where nothing does. Builds the plugin. */
export function missingForMosquitto(): string | undefined {
  if (!existsSync('/usr/sbin/mosquitto')) return 'mosquitto is not installed';
  const { status, stderr } = spawnSync('make', ['-s', '-C', SOURCES], { encoding: 'utf8' });
  return status === 0 ? undefined : `the plugin cannot be built: ${stderr.trim()}`;
}

/** A real Mosquitto with the plugin, and `broker-auth serve` beside it in a process of its own, which follows the house. */
export async function openMosquittoPlace(
  house: BenchHouse,
): Promise<{ readonly place: MqttPlace; close(): Promise<void> }> {
  const folder = join(house.home, 'mosquitto');
  const gateFolder = join(folder, 'gate');
  mkdirSync(gateFolder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const pem = (name: string) => join(house.home, 'pki', `${name}.pem`);

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file('broker.csr'), createCsr(privateKey));
  writeFileSync(file('broker.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const server = ['--profile', 'server', '--ip', '127.0.0.1', '--chain'];
  await house.command('issue', ...server, '--csr', file('broker.csr'), '--out', file('broker.pem'));
  writeFileSync(
    file('devices-ca.pem'),
    readFileSync(pem('ldevid'), 'utf8') + readFileSync(pem('root'), 'utf8'),
  );

  const told = await house.command(
    'token',
    'create',
    '--role',
    'gate',
    '--name',
    'gate',
    '--listener',
    'devices',
  );
  writeFileSync(file('gate.token'), told.split('\n').at(-1) ?? '', { mode: 0o600 });
  writeFileSync(file('gate.toml'), gateConfig(house, pem));
  const log = openSync(file('gate.log'), 'w');
  const words = ['broker-auth', 'serve', '--config', file('gate.toml'), '--ready-file', file('ready.json')];
  const gate = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'ignore', log] });
  closeSync(log);
  const ended = once(gate, 'exit');
  const stopGate = async () => {
    gate.kill('SIGTERM');
    await ended;
  };
  try {
    await until(async () => existsSync(file('ready.json')));
    const [ca, cert, key] = [file('devices-ca.pem'), file('broker.pem'), file('broker.key')];
    const broker = await startHouseBroker({ folder, ca, cert, key, plugin: { file: PLUGIN, gateFolder } });
    const { brokerAuth }: { brokerAuth: string } = JSON.parse(readFileSync(file('ready.json'), 'utf8'));
    await until(async () => (await fetch(`${brokerAuth}/readyz`)).status === 200);
    return {
      place: { host: '127.0.0.1', port: broker.port, ca: readFileSync(house.ca, 'latin1') },
      close: async () => {
        await broker.stop();
        await stopGate();
      },
    };
  } catch (error) {
    await stopGate();
    throw error;
  }
}

function gateConfig({ tls }: BenchHouse, pem: (name: string) => string): string {
  return `
[authority]
url = "${tls}"
caFile = "${pem('root')}"
tokenFile = "gate.token"
snapshotFile = "status.ndjson"
[listen]
host = "127.0.0.1"
port = 0
[mosquitto]
listener = "devices"
folder = "gate"
eventsSocket = "gate/events"
[[trust]]
namespace = "own"
anchorFiles = ["${pem('root')}"]
intermediateFiles = ["${pem('ldevid')}"]
[listeners.devices]
[[roles]]
name = "device"
publish = ["devices/\${id}/#"]
`;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + READY_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('the gate did not get ready');
    await sleep(50);
  }
}
