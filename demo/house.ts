import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchHouse, command, makeHome, removeHome, startHouse } from '../bench/house.ts';
import type { Place } from './device.ts';

/** A house of the tour's own, with its broker, on free ports of loopback. */
export interface DemoHouse extends BenchHouse {
  readonly place: Place;
  /** The last line of what a command prints: a token, a ticket. */
  token(role: string, ...words: readonly string[]): Promise<string>;
  /** Writes a file that only we may read; gives its path. */
  write(name: string, content: string): string;
  close(): Promise<void>;
}

export async function openDemoHouse(): Promise<DemoHouse> {
  const home = makeHome();
  try {
    await command(home, 'init');
    const house = await startHouse(home, 1, ['--broker', '--mqtt-port', '0', '--mqtt-ws-port', '0']);
    const folder = join(home, 'demo');
    mkdirSync(folder, { mode: 0o700 });
    return {
      ...house,
      place: { tls: house.tls, mqtt: house.mqtt ?? '', ca: readFileSync(house.ca, 'latin1') },
      token: async (role, ...words) =>
        (await house.command('token', 'create', '--role', role, '--name', role, ...words))
          .split('\n')
          .at(-1) ?? '',
      write: (name, content) => {
        const file = join(folder, name);
        writeFileSync(file, content, { mode: 0o600 });
        return file;
      },
      close: async () => {
        await house.stop();
        removeHome(home);
      },
    };
  } catch (error) {
    removeHome(home);
    throw error;
  }
}
