import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Authorities } from '../ca/authority.ts';
import type { CrlReads } from '../ca/crl/ports.ts';
import type { OcspResponder } from '../ca/ocsp/responder.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { RenewalDesk } from '../fleet/renewal/renewal-desk.ts';
import { toPem } from '../x509/pem.ts';
import { createBaseApp, type ListenerLimits } from './base-app.ts';
import { addCrlRoutes } from './crl-routes.ts';
import { answerOcspFirst } from './ocsp-first.ts';
import { createOcspLimit } from './ocsp-limit.ts';
import { addOcspRoutes } from './ocsp-routes.ts';
import { mountRenewalInfo } from './renewal-routes.ts';

export interface PublicAppOptions {
  readonly logger: FastifyBaseLogger;
  readonly limits: ListenerLimits;
  readonly authorities: Authorities;
  readonly crls: CrlReads;
  readonly ocsp: OcspResponder;
  /** When certificates are to be renewed. */
  readonly renewal: RenewalDesk;
  readonly clock: Clock;
}

/** The listener that certificates name: authorities, lists, health. Plain HTTP, as RFC 5280 §8 advises for these. */
export function createPublicApp({
  logger,
  limits,
  authorities,
  crls,
  ocsp,
  renewal,
  clock,
}: PublicAppOptions): FastifyInstance {
  const app = createBaseApp({ logger, limits });

  const authority = (name: string) => {
    const found = authorities.get(name);
    if (found) return found;
    throw new BirthmarkError('not-found', `there is no authority ${JSON.stringify(name).slice(0, 80)}`);
  };
  app.get<{ Params: { name: string } }>('/ca/:name.cer', (request, reply) =>
    reply.type('application/pkix-cert').send(authority(request.params.name).certificate.raw),
  );
  app.get<{ Params: { name: string } }>('/ca/:name.pem', (request, reply) =>
    reply
      .type('application/x-pem-file')
      .send(toPem('CERTIFICATE', authority(request.params.name).certificate.raw)),
  );
  mountRenewalInfo(app, renewal, false);
  addCrlRoutes(app, { crls, clock });
  const mayHave = createOcspLimit(limits.ocspSignaturesPerSecond, clock);
  addOcspRoutes(app, ocsp, mayHave);
  answerOcspFirst(app, { respond: ocsp, mayHave, bodyMs: limits.bodyMs });

  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', async () => {
    await crls.listCrls('root');
    return { status: 'ready' };
  });
  return app;
}
