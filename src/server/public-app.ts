import type { FastifyBaseLogger, FastifyInstance, FastifyReply } from 'fastify';
import type { Authorities } from '../ca/authority.ts';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import type { CrlReads, CrlRecord } from '../ca/ports.ts';
import { FULL } from '../ca/publish-crls.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { toPem } from '../x509/pem.ts';
import { createBaseApp, type ListenerLimits } from './base-app.ts';
import { isKnownTag } from './known-tag.ts';
import { answerOcspFirst } from './ocsp-first.ts';
import { addOcspRoutes } from './ocsp-routes.ts';
import { createSourceLimit } from './source-limit.ts';

export interface PublicAppOptions {
  readonly logger: FastifyBaseLogger;
  readonly limits: ListenerLimits;
  readonly authorities: Authorities;
  readonly crls: CrlReads;
  readonly ocsp: OcspResponder;
  readonly clock: Clock;
}

/** How long others may keep what they fetched: it bounds how late they hear of a new list. */
const MAX_AGE_SECONDS = 300;

/** The listener that certificates name: authorities, lists, health. Plain HTTP, as RFC 5280 §8 advises for these. */
export function createPublicApp({
  logger,
  limits,
  authorities,
  crls,
  ocsp,
  clock,
}: PublicAppOptions): FastifyInstance {
  const app = createBaseApp({ logger, limits });

  const authority = (name: string) => {
    const found = authorities.get(name);
    if (found) return found;
    throw new BirthmarkError('not-found', `there is no authority ${JSON.stringify(name).slice(0, 80)}`);
  };
  const published = async (name: string, scope: string) => {
    const crl = await crls.findCrl(authority(name).name, scope);
    if (crl) return crl;
    throw new BirthmarkError('not-found', `authority ${name} publishes no such list`);
  };
  app.get<{ Params: { name: string } }>('/ca/:name.cer', (request, reply) =>
    reply.type('application/pkix-cert').send(authority(request.params.name).certificate.raw),
  );
  app.get<{ Params: { name: string } }>('/ca/:name.pem', (request, reply) =>
    reply
      .type('application/x-pem-file')
      .send(toPem('CERTIFICATE', authority(request.params.name).certificate.raw)),
  );
  app.get<{ Params: { name: string } }>('/crl/:name.crl', async (request, reply) =>
    sendCrl(reply, await published(request.params.name, FULL), 'der', clock()),
  );
  app.get<{ Params: { name: string } }>('/crl/:name.pem', async (request, reply) =>
    sendCrl(reply, await published(request.params.name, FULL), 'pem', clock()),
  );
  app.get<{ Params: { name: string; shard: string } }>('/crl/:name/:shard.crl', async (request, reply) =>
    sendCrl(reply, await published(request.params.name, shardOf(request.params.shard)), 'der', clock()),
  );

  const mayHave = createSourceLimit(limits.ocspSignaturesPerSecond, clock);
  addOcspRoutes(app, ocsp, mayHave);
  answerOcspFirst(app, { respond: ocsp, mayHave, bodyMs: limits.bodyMs });

  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', async () => {
    await crls.listCrls('root');
    return { status: 'ready' };
  });
  return app;
}

/** @throws BirthmarkError `not-found` where it is no shard's number */
function shardOf(text: string): string {
  if (/^(?:0|[1-9][0-9]{0,5})$/.test(text)) return text;
  throw new BirthmarkError('not-found', 'there is no such list');
}

function sendCrl(reply: FastifyReply, crl: CrlRecord, form: 'der' | 'pem', now: number): FastifyReply {
  const etag = `"${crl.authority}-${crl.scope}-${crl.number}-${form}"`;
  const maxAge = Math.max(0, Math.min(MAX_AGE_SECONDS, Math.floor((crl.nextUpdate - now) / 1000)));
  reply
    .header('etag', etag)
    .header('last-modified', new Date(crl.thisUpdate).toUTCString())
    .header('cache-control', `public, max-age=${maxAge}`);
  if (isKnownTag(etag, reply.request.headers['if-none-match'])) return reply.code(304).send();
  return form === 'der'
    ? reply.type('application/pkix-crl').send(crl.crl)
    : reply.type('application/x-pem-file').send(toPem('X509 CRL', crl.crl));
}
