import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { decideApproval } from '../../enroll/decide-approval.ts';
import type { ApprovalRecord, Ledger } from '../../enroll/ports.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { PageQuery, pageOf, toDateTime } from './schemas.ts';

const Approval = Type.Object({
  id: Type.Integer(),
  namespace: Type.String(),
  serialNumber: Type.String(),
  keyHash: Type.String({ description: 'SHA-256 of the SubjectPublicKeyInfo, hexadecimal.' }),
  profile: Type.String(),
  vouchedBy: Type.String(),
  state: Type.String(),
  requestedAt: Type.String({ format: 'date-time' }),
  decidedAt: Type.Optional(Type.String({ format: 'date-time' })),
  decidedBy: Type.Optional(Type.String()),
});

const ListQuery = Type.Object(
  { ...PageQuery, state: Type.Optional(Type.Enum(['waiting', 'approved', 'denied'])) },
  { additionalProperties: false },
);
const Params = Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) });

/** The address of each word that can be given. */
const WORDS = [
  ['approve', 'approved', 'Let an enrollment that waits go on'],
  ['deny', 'denied', 'Refuse an enrollment that waits'],
] as const;

export interface ApprovalRoutes {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
}

export function mountApprovals(app: FastifyInstance, routes: ApprovalRoutes): void {
  const { ledger, authenticate } = routes;

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/enrollments',
    {
      schema: {
        summary: "Enrollments that wait for an operator's word or have it, newest first",
        tags: ['enrollment'],
        querystring: ListQuery,
        response: { 200: pageOf(Approval) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const page = await ledger.read.listApprovals(request.query);
      return { ...page, items: page.items.map(toAnswer) };
    },
  );

  for (const [word, state, summary] of WORDS) {
    app.post<{ Params: Static<typeof Params> }>(
      `/enrollments/:id/${word}`,
      {
        schema: {
          summary,
          description: 'A word once given may be changed, until the device has its certificate.',
          tags: ['enrollment'],
          params: Params,
          response: { 200: Approval },
        },
      },
      async (request) => {
        const caller = await authenticate(request);
        assertRole(caller, 'admin', 'operator');
        return toAnswer(await decideApproval(request.params.id, state, caller, routes));
      },
    );
  }
}

function toAnswer({ keyHash, requestedAt, decidedAt, ...approval }: ApprovalRecord): Static<typeof Approval> {
  return {
    ...approval,
    keyHash: toHex(keyHash),
    requestedAt: toDateTime(requestedAt),
    ...(decidedAt === undefined ? {} : { decidedAt: toDateTime(decidedAt) }),
  };
}
