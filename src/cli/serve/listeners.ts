import { rmSync, statSync } from 'node:fs';
import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { BirthmarkError } from '../../core/errors.ts';
import { type ApiAppOptions, createLocalApi, createRemoteApi } from '../../server/api-app.ts';
import type { ListenerLimits } from '../../server/base-app.ts';
import { createPublicApp } from '../../server/public-app.ts';
import { readTlsContext } from '../../server/tls-certificate.ts';
import type { Home } from '../home.ts';
import type { House } from '../wire.ts';
import { tlsCertificateOptions } from './upkeep.ts';

/** Where the listeners are, as the ready file says it. */
export interface Addresses {
  readonly public: string;
  readonly tls: string;
}

export interface Listeners {
  readonly addresses: Addresses;
  close(): Promise<void>;
}

/** How often a process looks whether the TLS certificate was renewed. */
const RELOAD_MS = 60_000;
/** sun_path of Linux, without its final zero. */
const MAX_SOCKET_PATH = 107;

export function apiOptions(house: House): ApiAppOptions {
  return { ...house, limits: listenerLimits(house) };
}

function listenerLimits({ loaded }: House): ListenerLimits {
  const { bodyOctets, bodySeconds, idleSeconds } = loaded.config.limits;
  return { bodyOctets, bodyMs: bodySeconds * 1000, idleMs: idleSeconds * 1000 };
}

/** Opens the two TCP listeners. */
export async function listen(house: House): Promise<Listeners> {
  const { listen: at } = house.loaded.config;
  const tlsOptions = tlsCertificateOptions(house);
  const publicApp = createPublicApp({ ...house, limits: listenerLimits(house), crls: house.ledger.read });
  const tlsApp = await createRemoteApi({ ...apiOptions(house), tls: readTlsContext(tlsOptions) });
  const addresses = {
    public: await open(publicApp, { host: at.publicHost, port: at.publicPort }, 'public'),
    tls: await open(tlsApp, { host: at.tlsHost, port: at.tlsPort }, 'tls'),
  };
  const reload = reloadWhenRenewed(tlsApp, house, () => statSync(tlsOptions.certificatePath).mtimeMs);
  return {
    addresses,
    close: async () => {
      clearInterval(reload);
      await Promise.all([publicApp.close(), tlsApp.close()]);
    },
  };
}

/** New connections get the new certificate; those that are open stay. */
function reloadWhenRenewed(app: FastifyInstance, house: House, version: () => number): NodeJS.Timeout {
  let current = version();
  return setInterval(() => {
    try {
      const latest = version();
      if (latest === current || !(app.server instanceof TlsServer)) return;
      app.server.setSecureContext(readTlsContext(tlsCertificateOptions(house)));
      current = latest;
    } catch (error) {
      house.logger.error({ err: error }, 'the renewed TLS certificate cannot be read; it is tried again');
    }
  }, RELOAD_MS);
}

/** Opens the Unix socket by which the other commands reach this process. Only its owner may (mode 0600). */
export async function listenLocally(house: House): Promise<FastifyInstance> {
  const app = await createLocalApi(apiOptions(house));
  const path = socketPath(house.home);
  // The lock on the home says that no process is behind a socket that is still there.
  rmSync(path, { force: true });
  const before = process.umask(0o177);
  try {
    await open(app, { path }, 'local');
  } finally {
    process.umask(before);
  }
  return app;
}

/** @throws BirthmarkError `listen-failed` where the home lies too deep for a Unix socket */
export function socketPath(home: Home): string {
  if (Buffer.byteLength(home.socket) <= MAX_SOCKET_PATH) return home.socket;
  throw new BirthmarkError(
    'listen-failed',
    `${home.socket} is longer than the ${MAX_SOCKET_PATH} octets that a Unix socket's path may have; put the home into a folder with a shorter path`,
  );
}

async function open(
  app: FastifyInstance,
  at: { readonly host: string; readonly port: number } | { readonly path: string },
  name: string,
): Promise<string> {
  try {
    return await app.listen(at);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const where = 'path' in at ? at.path : `${at.host}:${at.port}`;
    const hint = reason === 'EADDRINUSE' ? 'another program listens there; stop it, or choose another port (0 takes a free one)' : reason;
    throw new BirthmarkError('listen-failed', `the ${name} listener cannot open ${where}: ${hint}`, { cause });
  }
}
