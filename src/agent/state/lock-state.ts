import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';

/**
 * Keeps every other agent from a state folder for as long as this process lives: a name in the kernel's own space, which goes with
 * the process however it ends, so that there is no stale lock. Agents in different network namespaces do not see each other.
 *
 * @returns gives it back
 * @throws BirthmarkError `home-in-use`
 */
export async function lockState(folder: string): Promise<() => void> {
  const { dev, ino } = statSync(folder);
  const lock = createServer((connection) => connection.destroy());
  lock.listen(`\0birthmark-agent-${dev}-${ino}`);
  try {
    await once(lock, 'listening');
  } catch (cause) {
    throw new BirthmarkError(
      'home-in-use',
      `another agent works on ${folder}; wait until it is done, or stop it`,
      {
        cause,
      },
    );
  }
  lock.unref();
  return () => lock.close();
}
