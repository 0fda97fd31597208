import { rmSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import type { Authorities } from '../ca/authority.ts';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import { BirthmarkError } from '../core/errors.ts';
import { type ApiAppOptions, createLocalApi } from './api-app.ts';
import { createPublicApp } from './public-app.ts';
import { createConstrainedDoor, createTlsDoor, keepDoorsFresh } from './secure-door.ts';
import type { TlsIdentity } from './tls-identity.ts';

/** Where the listeners are, as the ready file says it. */
export interface Addresses {
  readonly public: string;
  readonly tls: string;
  /** Where it is switched on. */
  readonly constrained?: string;
  /** Where brokers ask. */
  readonly brokerAuth?: string;
  /** Of the broker, where it is served. */
  readonly mqtt?: string;
  readonly mqttWs?: string;
}

export interface Listeners {
  readonly addresses: Addresses;
  close(): Promise<void>;
}

/** sun_path of Linux, without its final zero. */
const MAX_SOCKET_PATH = 107;

export interface ListenOptions {
  readonly api: ApiAppOptions;
  readonly authorities: Authorities;
  readonly ocsp: OcspResponder;
  readonly tls: TlsIdentity;
  readonly at: {
    readonly publicHost: string;
    readonly publicPort: number;
    readonly tlsHost: string;
    readonly tlsPort: number;
    /** That of `tlsHost` where it is not given. */
    readonly constrainedHost?: string;
    /** Without it there is no listener for constrained devices. */
    readonly constrainedPort?: number;
  };
}

/**
 * Opens the TCP listeners.
 *
 * @throws BirthmarkError `listen-failed`, `config-invalid` where the certificate does not suit constrained devices
 */
export async function listen({ api, authorities, ocsp, tls, at }: ListenOptions): Promise<Listeners> {
  const context = tls.read();
  const publicApp = createPublicApp({
    ...api,
    authorities,
    crls: api.ledger.read,
    ocsp,
    clock: api.wallClock,
  });
  const tlsDoor = await createTlsDoor(api, context);
  const constrained =
    at.constrainedPort === undefined ? undefined : await createConstrainedDoor(api, context);
  const doors = constrained ? [tlsDoor, constrained] : [tlsDoor];
  const close = async () => {
    await Promise.all([publicApp, ...doors.map(({ app }) => app)].map((app) => app.close()));
  };
  try {
    const addresses = {
      public: await open(publicApp, { host: at.publicHost, port: at.publicPort }, 'public'),
      tls: await open(tlsDoor.app, { host: at.tlsHost, port: at.tlsPort }, 'tls'),
      ...(constrained && {
        constrained: await open(
          constrained.app,
          { host: at.constrainedHost ?? at.tlsHost, port: at.constrainedPort ?? 0 },
          'constrained',
        ),
      }),
    };
    const stop = keepDoorsFresh(doors, tls, api.logger);
    return {
      addresses,
      close: () => {
        stop();
        return close();
      },
    };
  } catch (error) {
    // One that accepts already would keep a process alive that says it failed.
    await close();
    throw error;
  }
}
/**
 * Opens the Unix socket by which the other commands reach this process. Only its owner may (mode 0600). The caller
 * holds the lock on the home, which says that no process is behind a socket that is still there.
 *
 * @throws BirthmarkError `listen-failed`, also where the home lies too deep for a Unix socket
 */
export async function listenLocally(api: ApiAppOptions, path: string): Promise<{ close(): Promise<void> }> {
  const app = await createLocalApi(api);
  await openSocket(app, path, 'local');
  return { close: async () => void (await app.close()) };
}

/**
 * Opens a Unix socket that only its owner may connect to (mode 0600), in the place of one that was left behind.
 *
 * @throws BirthmarkError `listen-failed`, also where the path is too long for a Unix socket
 */
export async function openSocket(app: FastifyInstance, path: string, name: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new BirthmarkError(
      'listen-failed',
      `${path} is longer than the ${MAX_SOCKET_PATH} octets that a Unix socket's path may have; put it into a folder with a shorter path`,
    );
  }
  rmSync(path, { force: true });
  const before = process.umask(0o177);
  try {
    await open(app, { path }, name);
  } finally {
    process.umask(before);
  }
}

async function open(
  app: FastifyInstance,
  at: { readonly host: string; readonly port: number } | { readonly path: string },
  name: string,
): Promise<string> {
  try {
    const address: Promise<string> = app.listen(at);
    return await address;
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    const where = 'path' in at ? at.path : `${at.host}:${at.port}`;
    const hint =
      reason === 'EADDRINUSE'
        ? 'another program listens there; stop it, or choose another port (0 takes a free one)'
        : reason;
    throw new BirthmarkError('listen-failed', `the ${name} listener cannot open ${where}: ${hint}`, {
      cause,
    });
  }
}
