import type { FastifyInstance, FastifySchema } from 'fastify';
import Type, { type Static } from 'typebox';
import { type RenewalDesk, type ToldRenewal, tellRenewal } from '../fleet/renewal/renewal-desk.ts';

const DateTime = Type.String({ format: 'date-time' });

/** What is said of a certificate's renewal, as RFC 9773 §4.2 names it. */
const RenewalInfo = Type.Object({
  id: Type.String({
    description: 'base64url(authorityKeyIdentifier).base64url(serial number), RFC 9773 §4.1.',
  }),
  suggestedWindow: Type.Object(
    { start: DateTime, end: DateTime },
    { description: 'Renew at a time that is chosen by chance within; at once where it is over.' },
  ),
  cause: Type.String({
    description:
      'schedule; else who calls for it, or what is wrong: held, revoked, key-blocked, issuer-revoked.',
  }),
});

export function toRenewalInfo({ id, window, cause }: ToldRenewal): Static<typeof RenewalInfo> {
  const time = (at: number) => new Date(at).toISOString();
  return { id, suggestedWindow: { start: time(window.start), end: time(window.end) }, cause };
}

const Params = Type.Object({ id: Type.String({ maxLength: 256 }) });

/** `GET /renewal-info/{id}`, without a sign-in: whoever has a certificate may ask (RFC 9773 §4.1). */
export function mountRenewalInfo(app: FastifyInstance, desk: RenewalDesk, described = true): void {
  const schema: FastifySchema = {
    summary: 'When a certificate is to be renewed',
    description:
      'RFC 9773: no sign-in. The window is moved to now when somebody calls for the renewal, or when something is wrong with the ' +
      'certificate, its key or its issuer; look again after Retry-After.',
    tags: ['enrollment'],
    security: [],
    params: Params,
    response: { 200: RenewalInfo },
  };
  app.get<{ Params: Static<typeof Params> }>(
    '/renewal-info/:id',
    described ? { schema } : {},
    async (request, reply) =>
      reply
        .header('retry-after', String(Math.ceil(desk.retryAfterMs / 1000)))
        .header('cache-control', 'no-cache')
        .send(toRenewalInfo(await tellRenewal(desk, request.params.id))),
  );
}
