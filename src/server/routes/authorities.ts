import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { activateGeneration } from '../../ca/rollover/activate-generation.ts';
import { prepareGeneration } from '../../ca/rollover/prepare-generation.ts';
import { findGeneration, retireGeneration, standingUnder } from '../../ca/rollover/retire-generation.ts';
import type { RolloverRoom } from '../../ca/rollover/room.ts';
import { toHex } from '../../core/bytes.ts';
import type { Revoker } from '../../fleet/revoker.ts';
import { KEY_ALGORITHMS, keyAlgorithmFor } from '../../keys/key-algorithm.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { nameToText } from '../../x509/name.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { toDateTime } from './schemas.ts';

const closed = { additionalProperties: false } as const;
const DateTime = Type.String({ format: 'date-time' });

const Summary = {
  name: Type.String({
    description: 'Of this generation: what addresses and `authority` of a certificate have.',
  }),
  family: Type.String({ description: 'What profiles name.' }),
  generation: Type.Integer(),
  state: Type.Enum(['prepared', 'current', 'former', 'retired'], {
    description:
      'Published and not issuing yet; issuing; lists and answers only; so too, and nobody needs to know it.',
  }),
  issuer: Type.String(),
  subject: Type.String(),
  serial: Type.String(),
  keyId: Type.String({ description: 'Key identifier, hexadecimal.' }),
  algorithm: Type.Enum([...KEY_ALGORITHMS]),
  notBefore: DateTime,
  notAfter: DateTime,
  publishedAt: Type.Optional(DateTime),
  activatableAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'Of a prepared one: when it may take over.' }),
  ),
  activatedAt: Type.Optional(DateTime),
  formerAt: Type.Optional(DateTime),
  retiredAt: Type.Optional(DateTime),
};
const AuthoritySummary = Type.Object(Summary);
const AuthorityDetail = Type.Object({
  ...Summary,
  standing: Type.Object(
    { certificates: Type.Integer(), until: Type.Optional(DateTime) },
    { description: 'What it issued that neither ended nor was taken back; it can be retired at 0.' },
  ),
});
const Acted = Type.Object({
  ...Summary,
  changed: Type.Boolean({ description: 'False where it was so already.' }),
});

const NameParams = Type.Object({ name: Type.String({ maxLength: 64 }) });
const RotateBody = Type.Object(
  {
    algorithm: Type.Optional(Type.Enum([...KEY_ALGORITHMS])),
    validityDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 36_500 })),
    commonName: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    from: Type.Optional(
      Type.String({
        maxLength: 64,
        description:
          'The generation that it is to follow; said again after an answer was lost, it makes no second one.',
      }),
    ),
    activate: Type.Optional(Type.Enum(['now', 'later'], { default: 'later' })),
  },
  closed,
);
const ActivateBody = Type.Object(
  {
    now: Type.Optional(
      Type.Boolean({ default: false, description: 'Before it was published for long enough.' }),
    ),
  },
  closed,
);
const RetireBody = Type.Object(
  {
    revoke: Type.Optional(
      Type.Enum(['superseded', 'cessationOfOperation'], {
        description: 'Revoke its certificate too, with this reason; left out, its lists go on until its end.',
      }),
    ),
  },
  closed,
);

export interface AuthorityRoutes {
  readonly rollover: RolloverRoom;
  readonly revoker: Revoker;
  readonly authenticate: Authenticate;
}

export function mountAuthorities(
  app: FastifyInstance,
  { rollover, revoker, authenticate }: AuthorityRoutes,
): void {
  const summary = (name: string) => summaryOf(name, rollover);
  const tags = ['authorities'];
  // Who has nothing to add need not send a body.
  const emptyBody = { preValidation: fillBody };

  app.get(
    '/authorities',
    {
      schema: {
        summary: 'Every generation of every authority, in the order in which they were made',
        tags,
        response: { 200: Type.Object({ items: Type.Array(AuthoritySummary) }) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      await rollover.roster.look();
      return { items: rollover.roster.records.map(({ name }) => summary(name)) };
    },
  );

  app.get<{ Params: Static<typeof NameParams> }>(
    '/authorities/:name',
    {
      schema: {
        summary: 'A generation of an authority, with what still stands under it',
        tags,
        params: NameParams,
        response: { 200: AuthorityDetail },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      await rollover.roster.look();
      const { name } = findGeneration(rollover, request.params.name);
      const { certificates, until } = await standingUnder(rollover, name);
      const standing = { certificates, ...(until !== undefined && { until: toDateTime(until) }) };
      return { ...summary(name), standing };
    },
  );

  app.post<{ Params: Static<typeof NameParams>; Body: Static<typeof RotateBody> }>(
    '/authorities/:name/rotate',
    {
      ...emptyBody,
      schema: {
        summary: 'Make the next generation of an authority, and publish it',
        description:
          'By its family. It issues nothing until it is activated, which is at once with `activate: "now"`. Where one is prepared ' +
          'already it is that one. Of a root: with certificates across, old with new and new with old.',
        tags,
        params: NameParams,
        body: RotateBody,
        response: { 200: Acted, 201: Acted },
      },
    },
    async (request, reply) => {
      const { actor, ...caller } = await authenticate(request);
      assertRole({ actor, ...caller }, 'admin');
      const { activate = 'later', ...order } = request.body;
      const family = request.params.name;
      const { record, made } = await prepareGeneration(rollover, { family, ...order }, actor);
      if (activate === 'now' && record.state === 'prepared')
        await activateGeneration(rollover, { family, now: true }, actor);
      return reply.code(made ? 201 : 200).send({ ...summary(record.name), changed: made });
    },
  );

  app.post<{ Params: Static<typeof NameParams>; Body: Static<typeof ActivateBody> }>(
    '/authorities/:name/activate',
    {
      ...emptyBody,
      schema: {
        summary: 'Let the generation that is prepared issue, instead of the one before it',
        description: 'By its family. Every process of the server does so within a second.',
        tags,
        params: NameParams,
        body: ActivateBody,
        response: { 200: Acted },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      const order = { family: request.params.name, now: request.body.now ?? false };
      const { record, moved } = await activateGeneration(rollover, order, caller.actor);
      return { ...summary(record.name), changed: moved };
    },
  );

  app.post<{ Params: Static<typeof NameParams>; Body: Static<typeof RetireBody> }>(
    '/authorities/:name/retire',
    {
      ...emptyBody,
      schema: {
        summary: 'Retire a former generation under which nothing stands, or give up a prepared one',
        tags,
        params: NameParams,
        body: RetireBody,
        response: { 200: Acted },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      const { revoke } = request.body;
      const { record, moved } = await retireGeneration(rollover, request.params.name, caller.actor);
      if (revoke !== undefined) {
        const by = { kind: 'serial', serial: parseCertificate(record.certificate).tbs.serial } as const;
        await revoker({ by, act: 'revoke', reason: revoke }, caller.actor);
      }
      return { ...summary(record.name), changed: moved };
    },
  );
}

function fillBody(request: { body: unknown }, _reply: unknown, done: () => void): void {
  request.body ??= {};
  done();
}

/** What is said of a generation. */
function summaryOf(name: string, room: RolloverRoom): Static<typeof AuthoritySummary> {
  const record = findGeneration(room, name);
  const {
    certificate,
    createdAt: _createdAt,
    publishedAt,
    activatedAt,
    formerAt,
    retiredAt,
    ...rest
  } = record;
  const { tbs } = parseCertificate(certificate);
  const authority = room.roster.authorities.get(name);
  const time = <K extends string>(key: K, at: number | undefined) =>
    at === undefined ? {} : { [key]: toDateTime(at) };
  return {
    ...rest,
    subject: nameToText(tbs.subject),
    serial: toHex(tbs.serial),
    keyId: authority ? toHex(authority.keyId) : '',
    algorithm: authority ? keyAlgorithmFor(authority.signer.algorithm) : 'ec-p256',
    notBefore: toDateTime(tbs.notBefore.at),
    notAfter: toDateTime(tbs.notAfter.at),
    ...time('publishedAt', publishedAt),
    ...(record.state === 'prepared' &&
      publishedAt !== undefined &&
      time('activatableAt', publishedAt + room.publishedMs)),
    ...time('activatedAt', activatedAt),
    ...time('formerAt', formerAt),
    ...time('retiredAt', retiredAt),
  };
}
