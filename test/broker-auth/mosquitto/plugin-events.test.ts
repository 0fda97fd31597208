import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { openPluginListener } from '../../../src/broker-auth/adapters/mosquitto/plugin-listener.ts';
import { createPluginSessions } from '../../../src/broker-auth/adapters/mosquitto/plugin-sessions.ts';
import { Sessions } from '../../../src/broker-auth/sessions.ts';
import { buildPart, canBuild } from './plugin-parts.ts';

const run = promisify(execFile);

describe.skipIf(!canBuild)("the events of Mosquitto's plugin", () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'birthmark-events-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ['check', 20_000],
    ['check-sanitized', 5_000],
  ] as const)('tell a gate of all of a large fleet in one go, by %s', async (name, count) => {
    const program = buildPart(name);
    const file = path.join(folder, name);
    const sessions = new Sessions();
    const told = createPluginSessions({ broker: 'm', listener: 'mqtt', sessions, above: () => [] });
    let connections = 0;
    const listener = await openPluginListener({
      path: file,
      onEvent: (event) => told.take(event),
      onConnected: (connected) => {
        connections += connected ? 1 : 0;
      },
      onError: (error) => {
        throw error;
      },
    });
    const listed = told.listed();
    const { stdout } = await run(program, ['events', file, String(count)]);
    await listed;
    await listener.close();
    expect(stdout).toBe('told 1 times, the room is 1048576\n');
    expect([connections, sessions.size]).toEqual([1, count]);
  });
});
