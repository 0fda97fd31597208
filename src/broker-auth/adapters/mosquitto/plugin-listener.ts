import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { BirthmarkError } from '../../../core/errors.ts';
import { type PluginEvent, parsePluginEvent } from './plugin-event.ts';

export interface PluginListenerOptions {
  /** Of a Unix socket, in a folder where only the broker and we may go: who can connect to it says who is live. */
  readonly path: string;
  readonly onEvent: (event: PluginEvent) => void;
  /** The plugin is there, or is gone. */
  readonly onConnected: (connected: boolean) => void;
  readonly onError: (error: unknown) => void;
}

export interface PluginListener {
  /** Asks for all that is live. False where no plugin is there. */
  ask(): boolean;
  close(): Promise<void>;
}

const MAX_LINE_OCTETS = 64 * 1024;
/** The broker's group may write: Mosquitto runs as a user of its own. */
const MODE = 0o660;

/** Listens for the plugin, which connects by itself; a new connection takes the place of the one before. */
export async function openPluginListener(options: PluginListenerOptions): Promise<PluginListener> {
  const { path, onEvent, onConnected, onError } = options;
  let current: Socket | undefined;
  const server = createServer((socket) => {
    current?.destroy();
    current = socket;
    onConnected(true);
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
      if (rest.length > MAX_LINE_OCTETS) {
        onError(new BirthmarkError('line-too-long', "a line of Mosquitto's plugin never ends"));
        socket.destroy();
      }
    });
    socket.on('error', onError);
    socket.on('close', () => {
      if (current !== socket) return;
      current = undefined;
      onConnected(false);
    });
  });

  function take(line: string): void {
    try {
      onEvent(parsePluginEvent(line));
    } catch (error) {
      onError(error);
    }
  }

  // Nobody else listens there: one adapter has the folder. A socket that was left behind keeps the name.
  await rm(path, { force: true });
  await listen(server, path);
  await chmod(path, MODE);
  return {
    ask: () => current?.write('?') !== undefined,
    close: async () => {
      current?.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new BirthmarkError(
          'listen-failed',
          `cannot listen at ${path} for Mosquitto's plugin: ${cause.message}`,
          { cause },
        ),
      ),
    );
    server.listen(path, resolve);
  });
}
