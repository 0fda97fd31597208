// A real Mosquitto whose certificates are a house's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';

const MOSQUITTO = '/usr/sbin/mosquitto';
const READY_WITHIN_MS = 30_000;

export interface HouseBrokerOptions {
  /** Where its configuration is written. */
  readonly folder: string;
  /** Files: PEM of who certified its clients, its certificate and its key. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Its plugin, and the folder of the gate with the names that `[mosquitto]` gives to what is in it. */
  readonly plugin?: { readonly file: string; readonly gateFolder: string };
  /** More lines of its configuration. */
  readonly lines?: readonly string[];
  readonly port?: number;
}

export interface HouseBroker {
  readonly port: number;
  log(): string;
  stop(): Promise<void>;
}

/** Starts it, and waits until it listens. */
export async function startHouseBroker(options: HouseBrokerOptions): Promise<HouseBroker> {
  const { folder, ca, cert, key, plugin, lines = [] } = options;
  const port = options.port ?? (await freePort());
  const config = path.join(folder, `mosquitto-${port}.conf`);
  const pluginLines = ({ file, gateFolder }: NonNullable<typeof plugin>) => [
    `plugin ${file}`,
    `plugin_opt_snapshot ${gateFolder}/snapshot`,
    `plugin_opt_key ${gateFolder}/key.pub`,
    `plugin_opt_config ${config}`,
    `plugin_opt_events ${gateFolder}/events`,
  ];
  const all = [
    'user root',
    'log_dest stderr',
    `listener ${port} 127.0.0.1`,
    `cafile ${ca}`,
    `certfile ${cert}`,
    `keyfile ${key}`,
    'require_certificate true',
    'allow_anonymous false',
    ...(plugin ? pluginLines(plugin) : []),
    ...lines,
  ];
  writeFileSync(config, `${all.join('\n')}\n`);
  const child = spawn(MOSQUITTO, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text: Buffer) => {
    log += text.toString();
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!/mosquitto version .* running/.test(log)) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`Mosquitto did not get ready:\n${log}`);
    }
    await sleep(10);
  }
  return { port, log: () => log, stop };
}
