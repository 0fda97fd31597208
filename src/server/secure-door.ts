import { X509Certificate } from 'node:crypto';
import { type SecureContextOptions, type TLSSocket, type TlsOptions, Server as TlsServer } from 'node:tls';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { asBuffer } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { type ApiAppOptions, createRemoteApi } from './api-app.ts';
import type { TlsIdentity } from './tls-identity.ts';
import { CONSTRAINED_POLICY, CONSTRAINED_RECORD, TLS_POLICY } from './tls-policy.ts';

/** The API behind a TLS listener that is not open yet. */
export interface SecureDoor {
  readonly app: FastifyInstance;
  /** New connections get another key and certificate; those that are open stay. */
  renew(context: SecureContextOptions): void;
  /** Sessions from before are not resumed any more: their clients shake hands in full. */
  changeTicketKeys(): void;
}

/** The door that everyone uses. */
export function createTlsDoor(api: ApiAppOptions, context: SecureContextOptions): Promise<SecureDoor> {
  return createDoor(api, TLS_POLICY, context);
}

/**
 * The same door for devices that speak AES-CCM on P-256 only and have small buffers. In the handshake records are small
 * where the client asks for it (max_fragment_length, RFC 6066 §4), afterwards always.
 *
 * @throws BirthmarkError `config-invalid` where the certificate's key is not on P-256
 */
export async function createConstrainedDoor(
  api: ApiAppOptions,
  context: SecureContextOptions,
): Promise<SecureDoor> {
  refuseUnfit(context);
  const door = await createDoor(api, CONSTRAINED_POLICY, context);
  door.app.server.on('secureConnection', (socket: TLSSocket) =>
    socket.setMaxSendFragment(CONSTRAINED_RECORD),
  );
  return {
    ...door,
    renew: (next) => {
      refuseUnfit(next);
      door.renew(next);
    },
  };
}

async function createDoor(
  api: ApiAppOptions,
  policy: TlsOptions,
  context: SecureContextOptions,
): Promise<SecureDoor> {
  const app = await createRemoteApi({ ...api, tls: { ...policy, ...context } });
  const { server } = app;
  return {
    app,
    renew: (next) => {
      // What is not said again falls back to what Node takes for good.
      if (server instanceof TlsServer) server.setSecureContext({ ...policy, ...next });
    },
    changeTicketKeys: () => {
      if (server instanceof TlsServer) server.setTicketKeys(asBuffer(api.random(TICKET_KEYS_OCTETS)));
    },
  };
}

function refuseUnfit({ cert }: SecureContextOptions): void {
  const { publicKey } = new X509Certificate(String(cert));
  if (publicKey.asymmetricKeyDetails?.namedCurve === 'prime256v1') return;
  throw new BirthmarkError(
    'config-invalid',
    'listen.constrainedPort: constrained devices need a TLS certificate whose key is on P-256; use such a one, or leave the port out',
    { field: 'listen.constrainedPort' },
  );
}

/** How often a process looks whether the certificate was replaced. */
const LOOK_EVERY_MS = 10_000;
/** Who takes the keys of tickets from memory can read what was sent under them (RFC 9325 §3.4, §7.4). */
const TICKET_KEYS_EVERY_MS = 24 * 3_600_000;
const TICKET_KEYS_OCTETS = 48;

/**
 * Gives doors that are open the new certificate when its files change, and new ticket keys, at once and every day. Node
 * would have workers share those: a session would then be resumed where its client's chain was never seen.
 *
 * @returns stops it
 */
export function keepDoorsFresh(
  doors: readonly Pick<SecureDoor, 'renew' | 'changeTicketKeys'>[],
  tls: TlsIdentity,
  logger: FastifyBaseLogger,
): () => void {
  let current = tls.version();
  const renew = () => {
    try {
      const latest = tls.version();
      if (latest === current) return;
      const context = tls.read();
      for (const door of doors) door.renew(context);
      current = latest;
      logger.info('new connections get the new TLS certificate');
    } catch (error) {
      logger.error(
        { err: error },
        'the new TLS certificate cannot be used; the old one stays, it is tried again',
      );
    }
  };
  const changeTicketKeys = () => {
    for (const door of doors) door.changeTicketKeys();
  };
  changeTicketKeys();
  const timers = [setInterval(renew, LOOK_EVERY_MS), setInterval(changeTicketKeys, TICKET_KEYS_EVERY_MS)];
  return () => {
    for (const timer of timers) clearInterval(timer);
  };
}
