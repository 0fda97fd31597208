import type { TlsOptions } from 'node:tls';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { Value } from 'typebox/value';
import { answerHalfClosed } from '../core/answer-half-closed.ts';
import { BirthmarkError } from '../core/errors.ts';
import { schemaParser } from '../core/schema.ts';
import { addBodyDeadline } from './body-deadline.ts';
import { rememberAddresses } from './known-addresses.ts';
import { toProblem } from './problem.ts';
import { readUrlNumbers } from './url-numbers.ts';

export interface ListenerLimits {
  /** Octets of a body that is not a stream. */
  readonly bodyOctets: number;
  /** Until such a body must be there. */
  readonly bodyMs: number;
  /** A connection on which nothing moves is closed after this time. */
  readonly idleMs: number;
  /** OCSP answers that are signed for one source and nobody else, see `createSourceLimit`. */
  readonly ocspSignaturesPerSecond: number;
}

/** When who waits for a person's word is to ask again. */
const APPROVAL_SECONDS = 30;
/** Until a TLS handshake is done, and a request's head is there, in milliseconds. */
const HEADERS_MS = 15_000;
/** How often connections are looked at for that. */
const CHECK_MS = 5000;

export interface BaseAppOptions {
  readonly logger: FastifyBaseLogger;
  readonly limits: ListenerLimits;
  /** Given for HTTPS: the policy with key and certificate. */
  readonly tls?: TlsOptions;
  /** Of all headers of a request; Node's default where it is not given. */
  readonly headerOctets?: number;
}

/**
 * What every listener of ours has in common: limits, strict validation with our messages, problem documents, and no
 * log line per request, which would cost a third of the rate.
 */
export function createBaseApp({ logger, limits, tls, headerOctets }: BaseAppOptions): FastifyInstance {
  const common = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyOctets,
    connectionTimeout: limits.idleMs,
    exposeHeadRoutes: true,
    forceCloseConnections: true,
    // What fails before there is a route: a path that is no URL path, or one that is too long.
    frameworkErrors: (error: Error, _request: unknown, reply: FastifyReply) => sendProblem(reply, error),
  };
  const app: FastifyInstance = tls
    ? Fastify({
        ...common,
        https: {
          ...tls,
          ...(headerOctets !== undefined && { maxHeaderSize: headerOctets }),
          handshakeTimeout: HEADERS_MS,
          headersTimeout: HEADERS_MS,
          connectionsCheckingInterval: CHECK_MS,
        },
      })
    : Fastify({ ...common, http: { headersTimeout: HEADERS_MS, connectionsCheckingInterval: CHECK_MS } });
  answerHalfClosed(app.server);
  // The framework reads it unless told otherwise, and none of our addresses takes it.
  app.removeContentTypeParser('text/plain');
  app.addHook('onRequest', async (request, reply) => refuseEncodedBody(request, reply));
  addBodyDeadline(app, limits.bodyMs);
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const parse = schemaParser(schema, 'bad-request');
    // Only what comes as text in a URL is turned into numbers; bodies say what they mean.
    const isText = httpPart === 'querystring' || httpPart === 'params';
    return (value: unknown) => {
      try {
        return { value: parse(isText ? Value.Default(schema, readUrlNumbers(schema, value)) : value, '') };
      } catch (error) {
        return { error: error instanceof Error ? error : new Error(String(error)) };
      }
    };
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500)
      request.log.error(
        { err: error, method: request.method, route: request.routeOptions.url },
        'a request failed',
      );
    return sendProblem(reply, error);
  });
  const addresses = rememberAddresses(app);
  app.setNotFoundHandler((request, reply) => {
    const methods = addresses.methodsOf(request.url);
    if (methods.length > 0) reply.header('allow', methods.join(', '));
    return sendProblem(
      reply,
      methods.length > 0
        ? new BirthmarkError('method-not-allowed', `this address takes ${methods.join(', ')}`)
        : new BirthmarkError('not-found', 'there is nothing at this address'),
    );
  });
  return app;
}

/** A compressed body would be read as what it is not; that it is not taken must be said (RFC 9110 §15.5.16). */
function refuseEncodedBody(request: FastifyRequest, reply: FastifyReply): void {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() === 'identity') return;
  reply.header('accept-encoding', 'identity');
  throw new BirthmarkError(
    'unsupported-media-type',
    'a body with a Content-Encoding is not taken here; send it as it is',
  );
}

function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const problem = toProblem(error);
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="birthmark"');
  if (problem.status === 503 || problem.status === 429) reply.header('retry-after', '1');
  if (problem.status === 202) reply.header('retry-after', String(APPROVAL_SECONDS));
  return reply.code(problem.status).type('application/problem+json').send(problem);
}
