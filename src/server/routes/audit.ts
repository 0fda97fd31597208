import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Ledger } from '../../enroll/ports.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { PageQuery, pageOf, toDateTime } from './schemas.ts';

const Facts = Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]));
const At = Type.String({ format: 'date-time' });
const AuditEntry = Type.Object({
  id: Type.Integer(),
  at: At,
  actor: Type.String(),
  action: Type.String(),
  subject: Type.String(),
  outcome: Type.String(),
  facts: Type.Optional(Facts),
});
const IncidentEntry = Type.Object({
  id: Type.Integer(),
  at: At,
  kind: Type.String(),
  subject: Type.String(),
  facts: Facts,
});
const Query = Type.Object(PageQuery, { additionalProperties: false });

export function mountAudit(
  app: FastifyInstance,
  { ledger, authenticate }: { ledger: Ledger; authenticate: Authenticate },
): void {
  app.get<{ Querystring: { cursor?: string; limit: number } }>(
    '/audit',
    {
      schema: {
        summary: 'Every act, oldest first',
        tags: ['audit'],
        querystring: Query,
        response: { 200: pageOf(AuditEntry) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'auditor');
      const page = await ledger.read.listAudit(request.query);
      return { ...page, items: page.items.map(({ at, ...entry }) => ({ ...entry, at: toDateTime(at) })) };
    },
  );

  app.get<{ Querystring: { cursor?: string; limit: number } }>(
    '/incidents',
    {
      schema: {
        summary: 'What people must look at, oldest first',
        tags: ['audit'],
        querystring: Query,
        response: { 200: pageOf(IncidentEntry) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const page = await ledger.read.listIncidents(request.query);
      return { ...page, items: page.items.map(({ at, ...entry }) => ({ ...entry, at: toDateTime(at) })) };
    },
  );
}
