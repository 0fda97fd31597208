import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type AgentEvent,
  disk,
  lockState,
  type OpenAgent,
  openAgent,
  parseSettings,
  type Settings,
  type Tell,
} from '../../agent/index.ts';
import { settingsPath } from '../../agent/open-agent.ts';
import { systemClock, systemUptime } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Shell } from '../command.ts';

/** @throws BirthmarkError `not-enrolled`, `config-invalid` */
export function readSettings(folder: string): Settings {
  const path = settingsPath(folder);
  if (!existsSync(path))
    throw new BirthmarkError(
      'not-enrolled',
      `there is no agent in ${folder} (${path} is not there); birthmark agent enroll makes one`,
    );
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new BirthmarkError('config-invalid', `${path} is not JSON; give agent enroll its options again`, {
      cause,
    });
  }
  return parseSettings(value, path);
}

export function writeSettings(folder: string, settings: Settings): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  disk.write(settingsPath(folder), `${JSON.stringify(settings, null, 2)}\n`, 0o600);
}

/** Does something with the agent of a folder, alone. */
export async function withAgent<T>(
  folder: string,
  shell: Shell,
  tell: Tell,
  work: (agent: OpenAgent) => Promise<T>,
): Promise<T> {
  const settings = readSettings(folder);
  const unlock = await lockState(folder);
  try {
    if (settings.token) {
      // OpenSSL finds its engine, and that the token's library, by the environment alone.
      shell.environment.PKCS11_MODULE_PATH ??= settings.token.module;
      if (settings.token.engine !== undefined)
        shell.environment.OPENSSL_ENGINES ??= dirname(settings.token.engine);
    }
    const agent = await openAgent({
      folder,
      settings,
      disk,
      clock: systemClock,
      elapsed: systemUptime,
      random: (size) => randomBytes(size),
      tell,
      environment: shell.environment,
    });
    try {
      return await work(agent);
    } finally {
      agent.close();
    }
  } finally {
    unlock();
  }
}

/** Events as lines on standard error: text for people, JSON where it was asked for. */
export function tellOn(shell: Shell, isJson: boolean): Tell {
  return (event: AgentEvent) => {
    if (isJson) shell.note(JSON.stringify(event));
    else if (event.event !== 'waiting')
      shell.note(`${event.level === 'warn' ? 'warning: ' : ''}${event.event}: ${event.detail}`);
  };
}
