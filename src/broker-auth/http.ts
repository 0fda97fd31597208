import { constants, createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { TLSSocket, type TlsOptions } from 'node:tls';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { answerHalfClosed } from '../core/answer-half-closed.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Dialect, DialectAnswer } from './adapters/dialect.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly denial?: DialectAnswer;
  }
}

export interface MountedDialect {
  readonly dialect: Dialect;
  /** What its broker sends as `Authorization: Bearer`. */
  readonly secret?: string;
}

/** Whether the gate knows enough to decide: a text for people where it does not. */
export type Readiness = () => { readonly fault?: string; readonly [fact: string]: unknown };

export interface GateHttpOptions {
  readonly dialects: readonly MountedDialect[];
  readonly logger: FastifyBaseLogger;
  readonly readiness: Readiness;
  /** In the Prometheus text format. */
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
  /** Given for HTTPS. */
  readonly tls?: {
    /** Key and certificate, and how it speaks. */
    readonly context: TlsOptions;
    readonly isClient: IsClient;
  };
}

/** Whether who shows this may ask: DER, the leaf and what came with it. Possession of its key was proven. */
export type IsClient = (leaf: Uint8Array, chain: readonly Uint8Array[]) => boolean;

/** A certificate with a chain, or a publication that a broker sends along although it was told not to. */
const BODY_OCTETS = 128 * 1024;
const REQUEST_MS = 5000;
const MAX_CHAIN = 10;
/** Brokers keep connections for a while. */
const IDLE_MS = 120_000;

/**
 * The gate's listener, not open yet: dialects of brokers, `/healthz`, `/readyz`, `/metrics`. Whatever is wrong with a
 * request of a dialect, its answer is the denial that this broker cannot read as anything else.
 */
export function createGateHttp(options: GateHttpOptions): FastifyInstance {
  const { dialects, logger, readiness, metrics, tls } = options;
  const common = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_OCTETS,
    connectionTimeout: IDLE_MS,
    keepAliveTimeout: IDLE_MS,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: true,
  };
  const app: FastifyInstance = tls
    ? // Judged by us, below: Node wants a root, and under a root there may be devices too. No session is resumed, since
      // a resumed one has no chain.
      Fastify({
        ...common,
        https: {
          ...tls.context,
          requestCert: true,
          rejectUnauthorized: false,
          secureOptions: (tls.context.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET,
        },
      })
    : Fastify(common);
  answerHalfClosed(app.server);
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      try {
        done(null, parseForm(String(body)));
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  );
  const isWelcome = createWelcome(options);
  app.addHook('onRequest', async (request, reply) => {
    if (isWelcome(request.raw.socket)) return;
    logger.warn({ address: request.ip }, 'a client without a certificate for brokers was turned away');
    const { denial } = request.routeOptions.config;
    return denial ? give(reply, denial) : reply.code(403).send();
  });
  app.setErrorHandler(async (error, request, reply) => {
    const { denial, url } = { ...request.routeOptions.config, url: request.routeOptions.url };
    const known = error instanceof BirthmarkError || (isHttpError(error) && error.statusCode < 500);
    const facts = { dialect: url, address: request.ip };
    if (known) logger.warn({ ...facts, rule: error.message }, 'a request could not be read, and was denied');
    else logger.error({ ...facts, err: error }, 'a request failed, and was denied');
    if (denial) return give(reply, denial);
    return reply.code(known ? 400 : 500).send();
  });

  for (const { dialect, secret } of dialects) {
    const isBroker = secret === undefined ? undefined : secretCheck(secret);
    for (const { path, answer, denial } of dialect) {
      app.post(
        path,
        {
          config: { denial },
          onRequest: async (request, reply) => {
            if (!isBroker || isBroker(request.headers.authorization)) return;
            logger.warn({ dialect: path, address: request.ip }, 'a request without the secret was denied');
            return give(reply, denial);
          },
        },
        async (request, reply) => {
          const hook = request.headers['vernemq-hook'];
          return give(reply, answer({ body: request.body, ...(typeof hook === 'string' && { hook }) }));
        },
      );
    }
  }

  app.get('/healthz', async (_request, reply) => reply.send({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const { fault, ...facts } = readiness();
    return fault === undefined
      ? reply.send({ status: 'ready', ...facts })
      : reply.code(503).send({ status: 'denying', why: fault, ...facts });
  });
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  );
  return app;
}

/** Whether only this machine reaches a listener there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Each connection is judged once. */
function createWelcome({ tls }: GateHttpOptions): (socket: object) => boolean {
  const known = new WeakMap<object, boolean>();
  return (socket) => {
    if (!tls) return true;
    let isWelcome = known.get(socket);
    if (isWelcome === undefined) {
      const leaf = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
      const chain: Uint8Array[] = [];
      for (
        let next = leaf?.issuerCertificate;
        next && chain.length < MAX_CHAIN;
        next = next.issuerCertificate
      )
        chain.push(next.raw);
      isWelcome = leaf !== undefined && tls.isClient(leaf.raw, chain);
      known.set(socket, isWelcome);
    }
    return isWelcome;
  };
}

/** Compares digests, so that the time that it takes tells nothing of the secret. */
function secretCheck(secret: string): (header: string | undefined) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(secret);
  return (header) => {
    const shown = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
    return shown !== undefined && timingSafeEqual(digest(shown), expected);
  };
}

/** A member that is there twice could be read in two ways. */
function parseForm(body: string): Readonly<Record<string, string>> {
  const members = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(body)) {
    if (members.has(name)) throw new BirthmarkError('bad-request', `the form has ${name} twice`);
    members.set(name, value);
  }
  return Object.fromEntries(members);
}

function isHttpError(error: unknown): error is Error & { readonly statusCode: number } {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number';
}

interface Reply {
  code(status: number): Reply;
  type(contentType: string): Reply;
  send(body: string): Reply;
}

/** Async handlers of the framework end with what they sent. */
function give<R extends Reply>(reply: R, { status, type, body }: DialectAnswer): R {
  reply.code(status).type(type).send(body);
  return reply;
}
