import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import { isDeviceKind } from '../../ca/profile.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { PLAIN_TEXT } from '../../core/identifiers.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type Ledger, ROLES, type TokenRecord } from '../../enroll/ports.ts';
import { newSecret } from '../../enroll/secret.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { PageQuery, pageOf, toDateTime } from './schemas.ts';

const DAY_SECONDS = 86_400;

/** As policies of gates name them. */
export const ListenerName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' });

const TokenBody = Type.Object(
  {
    role: Type.Enum([...ROLES]),
    name: Type.String({
      pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
      description: 'Letters, digits, dot, underscore, hyphen.',
    }),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 3660 * DAY_SECONDS, default: 90 * DAY_SECONDS }),
    ),
    profiles: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        uniqueItems: true,
        description:
          'Those that it may ask for. Without it all, but no other LDevID for a device that has one.',
      }),
    ),
    serialPattern: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: '* any run of characters, ? one.' }),
    ),
    batch: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: PLAIN_TEXT })),
    listeners: Type.Optional(
      Type.Array(ListenerName, {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description: 'Of a gate: the listeners that it may tell sightings of.',
      }),
    ),
    count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Certificates that it may have issued in all.',
      }),
    ),
  },
  { additionalProperties: false },
);

const Token = Type.Object({
  name: Type.String(),
  role: Type.String(),
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
  expiresAt: Type.String({ format: 'date-time' }),
  revokedAt: Type.Optional(Type.String({ format: 'date-time' })),
  profiles: Type.Optional(Type.Array(Type.String())),
  serialPattern: Type.Optional(Type.String()),
  batch: Type.Optional(Type.String()),
  listeners: Type.Optional(Type.Array(Type.String())),
  count: Type.Optional(Type.Integer()),
  used: Type.Integer(),
});

const LIMITS = ['profiles', 'serialPattern', 'batch', 'count'] as const;

export interface TokenRoutes {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

export function mountTokens(
  app: FastifyInstance,
  { ledger, issuing, authenticate, clock, random }: TokenRoutes,
): void {
  app.post<{ Body: Static<typeof TokenBody> }>(
    '/tokens',
    {
      schema: {
        summary: 'Make an API token',
        tags: ['tokens'],
        body: TokenBody,
        response: {
          201: Type.Object({
            token: Type.String({ description: 'The secret. It is shown once and kept nowhere.' }),
            ...Token.properties,
          }),
        },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      const { expiresInSeconds = 90 * DAY_SECONDS, ...limits } = request.body;
      refuseSenselessLimits(limits, issuing);
      const now = clock();
      const secret = newSecret('bmk', random);
      const record: TokenRecord = {
        id: secret.id,
        secretHash: secret.secretHash,
        createdAt: now,
        createdBy: caller.actor,
        expiresAt: now + expiresInSeconds * 1000,
        used: 0,
        ...limits,
      };
      await ledger.write(async (tx) => {
        await tx.addToken(record);
        const facts = { role: record.role, expiresAt: record.expiresAt };
        await tx.appendAudit([
          {
            at: now,
            actor: caller.actor,
            action: 'token.create',
            subject: `token:${record.name}`,
            outcome: 'done',
            facts,
          },
        ]);
      });
      return reply.code(201).send({ token: secret.text, ...toAnswer(record) });
    },
  );

  app.get<{ Querystring: { cursor?: string; limit: number } }>(
    '/tokens',
    {
      schema: {
        summary: 'List tokens, without their secrets',
        tags: ['tokens'],
        querystring: Type.Object(PageQuery, { additionalProperties: false }),
        response: { 200: pageOf(Token) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'auditor');
      const page = await ledger.read.listTokens(request.query);
      return { ...page, items: page.items.map(toAnswer) };
    },
  );

  app.delete<{ Params: { name: string } }>(
    '/tokens/:name',
    {
      schema: {
        summary: 'Revoke a token',
        tags: ['tokens'],
        params: Type.Object({ name: Type.String() }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      const { name } = request.params;
      await ledger.write(async (tx) => {
        const at = clock();
        if (!(await tx.revokeToken(name, at))) {
          throw new BirthmarkError(
            'not-found',
            `there is no token ${JSON.stringify(name).slice(0, 80)} that is not revoked already`,
          );
        }
        await tx.appendAudit([
          { at, actor: caller.actor, action: 'token.revoke', subject: `token:${name}`, outcome: 'done' },
        ]);
      });
      return reply.code(204).send();
    },
  );
}

function refuseSenselessLimits(
  body: Omit<Static<typeof TokenBody>, 'expiresInSeconds'>,
  issuing: IssuingRoom,
): void {
  const limit = LIMITS.find((name) => body[name] !== undefined);
  if (limit !== undefined && body.role !== 'factory') {
    throw new BirthmarkError(
      'bad-request',
      `${limit} limits factory tokens only, and this one has role ${body.role}`,
      { field: limit },
    );
  }
  if (body.listeners && body.role !== 'gate')
    throw new BirthmarkError('bad-request', `listeners are of gates, and this one has role ${body.role}`, {
      field: 'listeners',
    });
  for (const name of body.profiles ?? []) {
    if (!isDeviceKind(issuing.profile(name).kind)) {
      throw new BirthmarkError('profile-not-allowed', `profile ${name} is not for devices`, {
        field: 'profiles',
      });
    }
  }
}

function toAnswer({
  id: _id,
  secretHash: _hash,
  createdAt,
  expiresAt,
  revokedAt,
  profiles,
  listeners,
  ...rest
}: TokenRecord): Static<typeof Token> {
  return {
    ...rest,
    createdAt: toDateTime(createdAt),
    expiresAt: toDateTime(expiresAt),
    ...(revokedAt === undefined ? {} : { revokedAt: toDateTime(revokedAt) }),
    ...(profiles === undefined ? {} : { profiles: [...profiles] }),
    ...(listeners === undefined ? {} : { listeners: [...listeners] }),
  };
}
