import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import type { OcspLimit } from './ocsp-limit.ts';
import { toOcspReply } from './ocsp-reply.ts';
import { MOST_OCTETS, MOUNT, NOTHING, REQUEST_TYPE, readTarget } from './ocsp-target.ts';

/** The responder over HTTP (RFC 6960 Appendix A, RFC 9919 §5 and §6). */
export function addOcspRoutes(app: FastifyInstance, respond: OcspResponder, mayHave: OcspLimit): void {
  app.addContentTypeParser(
    REQUEST_TYPE,
    { parseAs: 'buffer', bodyLimit: MOST_OCTETS },
    (_request, body, done) => done(null, body),
  );
  const answer = async (request: FastifyRequest, reply: FastifyReply, asked: Uint8Array) => {
    const given = await respond(asked, (use) => mayHave(request.socket.remoteAddress, use));
    const { status, headers, body } = toOcspReply(given, request.method, request.headers);
    return reply.code(status).headers(headers).send(body);
  };
  for (const url of [MOUNT, `${MOUNT}/`]) {
    app.post<{ Body: unknown }>(url, (request, reply) =>
      answer(request, reply, request.body instanceof Uint8Array ? request.body : NOTHING),
    );
  }
  app.get(`${MOUNT}/*`, (request, reply) => answer(request, reply, readTarget(request.raw.url ?? '')));
}
