import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { REVOCATION_REASONS, type RevocationReason } from '../../ca/revocation/ports.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { OWN_NAMESPACE, parseCertificateSerial, parseSerialNumber } from '../../core/identifiers.ts';
import type { RevocationOrder, Revoker } from '../../fleet/revoker.ts';
import type { Selector } from '../../fleet/select-certificates.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { parseMoment } from './schemas.ts';

const Moment = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }));

const By = Type.Object(
  {
    serial: Type.Optional(Type.String({ maxLength: 64, description: 'One certificate, hexadecimal.' })),
    device: Type.Optional(Type.String({ maxLength: 64, description: "The device's serial number." })),
    namespace: Type.Optional(Type.String({ maxLength: 64, description: 'Of the device; own by default.' })),
    spki: Type.Optional(
      Type.String({ maxLength: 100, description: 'SHA-256 of the SubjectPublicKeyInfo, hexadecimal.' }),
    ),
    batch: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'All devices of a batch.' }),
    ),
    authority: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'All that an authority issued.' }),
    ),
    lineage: Type.Optional(
      Type.String({ maxLength: 64, description: 'A certificate and all that it vouched for, hexadecimal.' }),
    ),
    since: Moment('Of a lineage: only what was issued from then on, and the certificate itself.'),
  },
  { additionalProperties: false, description: 'Which certificates: one of its members.' },
);

const Why = {
  reason: Type.Optional(
    Type.String({
      maxLength: 32,
      description: `Of RFC 5280 §5.3.1: ${REVOCATION_REASONS.join(', ')}. Left out: unspecified.`,
    }),
  ),
  invalidityDate: Moment('Since when the key may have been in other hands.'),
  discoveredAt: Moment('When somebody noticed; now by default.'),
  decidedAt: Moment('When it was decided; now by default.'),
  cascade: Type.Optional(
    Type.Boolean({
      description:
        'Whether what a certificate vouched for goes with it; by default with an IDevID for keyCompromise only.',
    }),
  ),
  dryRun: Type.Optional(Type.Boolean({ description: 'Only tell what would be done.' })),
};

const RevocationBody = Type.Object(
  {
    by: By,
    act: Type.Optional(Type.Enum(['revoke', 'hold', 'release'], { default: 'revoke' })),
    ...Why,
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'Of a batch or an authority: stop after about so many, and tell a cursor to go on with.',
      }),
    ),
    cursor: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$', description: 'From the answer before.' })),
  },
  { additionalProperties: false },
);
const WhyBody = Type.Object(Why, { additionalProperties: false });

const Result = Type.Object({
  changed: Type.Integer({ description: 'How many were changed; with dryRun, how many would be.' }),
  unchanged: Type.Integer({ description: 'How many were so already.' }),
  final: Type.Integer({ description: 'How many stay revoked, although they were to be released.' }),
  profiles: Type.Record(Type.String(), Type.Integer(), { description: 'Of those changed, by profile.' }),
  serials: Type.Array(Type.String(), { description: 'The first 20 of those changed.' }),
  published: Type.Boolean({
    description:
      'Whether the CRLs that the certificates name tell it; where not, that is tried again. With a cursor not yet: the last part ' +
      'publishes, and where it never comes, the lists tell it within seconds.',
  }),
  cursor: Type.Optional(Type.String({ description: 'There is more: send the same again with it.' })),
});

export interface RevocationRoutes {
  readonly revoker: Revoker;
  readonly authenticate: Authenticate;
}

export function mountRevocations(app: FastifyInstance, { revoker, authenticate }: RevocationRoutes): void {
  const run = async (order: RevocationOrder, actor: string): Promise<Static<typeof Result>> => {
    const { next, serials, profiles, ...result } = await revoker(order, actor);
    return {
      ...result,
      serials: [...serials],
      profiles: { ...profiles },
      ...(next !== undefined && { cursor: String(next) }),
    };
  };

  app.post<{ Body: Static<typeof RevocationBody> }>(
    '/revocations',
    {
      schema: {
        summary: 'Revoke, hold or release certificates',
        description:
          'By certificate, device, key, batch, authority or lineage. Saying it twice is harmless: nothing changes the second ' +
          'time. For keyCompromise the key is blocked at every door for ever.',
        tags: ['revocation'],
        body: RevocationBody,
        response: { 200: Result },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      const { by, act = 'revoke', limit, cursor, ...why } = request.body;
      const order = {
        by: parseSelector(by),
        act,
        ...parseWhy(why, act),
        ...(limit !== undefined && { limit }),
        ...(cursor !== undefined && { after: Number(cursor) }),
      };
      return run(order, caller.actor);
    },
  );

  for (const [word, act] of [
    ['revoke', 'revoke'],
    ['hold', 'hold'],
    ['unhold', 'release'],
  ] as const) {
    app.post<{ Params: { serial: string }; Body: Static<typeof WhyBody> }>(
      `/certificates/:serial/${word}`,
      {
        schema: {
          summary: `${word[0]?.toUpperCase()}${word.slice(1)} one certificate`,
          tags: ['revocation'],
          params: Type.Object({ serial: Type.String({ maxLength: 64 }) }),
          body: WhyBody,
          response: { 200: Result },
        },
        // Who has nothing to add need not send a body.
        preValidation: (request, _reply, done) => {
          request.body ??= {};
          done();
        },
      },
      async (request) => {
        const caller = await authenticate(request);
        assertRole(caller, 'admin', 'operator');
        const by = parseSelector({ serial: request.params.serial });
        return run({ by, act, ...parseWhy(request.body, act) }, caller.actor);
      },
    );
  }
}

const CHOICES = ['serial', 'device', 'spki', 'batch', 'authority', 'lineage'] as const;

/** @throws BirthmarkError `bad-request`, `serial-number-invalid` */
function parseSelector(by: Static<typeof By>): Selector {
  const [choice, ...more] = CHOICES.filter((name) => by[name] !== undefined);
  if (choice === undefined || more.length > 0)
    throw new BirthmarkError('bad-request', `by must have one of ${CHOICES.join(', ')}`, { field: 'by' });
  if (by.namespace !== undefined && choice !== 'device')
    throw new BirthmarkError('bad-request', 'namespace is of a device only', { field: 'by.namespace' });
  if (by.since !== undefined && choice !== 'lineage')
    throw new BirthmarkError('bad-request', 'since is of a lineage only', { field: 'by.since' });
  const text = by[choice] ?? '';
  const field = `by.${choice}`;
  switch (choice) {
    case 'serial':
      return { kind: 'serial', serial: Buffer.from(parseCertificateSerial(text, field), 'hex') };
    case 'lineage': {
      const since = by.since === undefined ? 0 : parseMoment(by.since, 'by.since');
      return { kind: 'lineage', serial: Buffer.from(parseCertificateSerial(text, field), 'hex'), since };
    }
    case 'device':
      return {
        kind: 'device',
        device: { namespace: by.namespace ?? OWN_NAMESPACE, serialNumber: parseSerialNumber(text, field) },
      };
    case 'spki':
      return { kind: 'key', keyHash: parseKeyHash(text) };
    case 'batch':
      return { kind: 'batch', batch: text };
    case 'authority':
      return { kind: 'authority', authority: text };
  }
}

function parseKeyHash(text: string): Uint8Array {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex');
  throw new BirthmarkError('bad-request', 'spki must be a SHA-256 in hexadecimal, 64 digits', {
    field: 'by.spki',
  });
}

type Reasons = Omit<RevocationOrder, 'by' | 'act' | 'limit' | 'after'>;

/** @throws BirthmarkError `bad-request`, `reason-invalid` */
function parseWhy(why: Static<typeof WhyBody>, act: RevocationOrder['act']): Reasons {
  const { reason, invalidityDate, discoveredAt, decidedAt, cascade, dryRun } = why;
  if (reason !== undefined && act !== 'revoke')
    throw new BirthmarkError('reason-invalid', `a ${act} has no reason`, { field: 'reason' });
  const known = reason === undefined ? undefined : parseReason(reason);
  return {
    ...(known && { reason: known }),
    ...(invalidityDate !== undefined && { invalidityAt: parseMoment(invalidityDate, 'invalidityDate') }),
    ...(discoveredAt !== undefined && { discoveredAt: parseMoment(discoveredAt, 'discoveredAt') }),
    ...(decidedAt !== undefined && { decidedAt: parseMoment(decidedAt, 'decidedAt') }),
    ...(cascade !== undefined && { cascade }),
    ...(dryRun !== undefined && { dryRun }),
  };
}

/** Undefined for unspecified, which is never on the wire (RFC 5280 §5.3.1). */
function parseReason(text: string): RevocationReason | undefined {
  if (text === 'unspecified') return undefined;
  const known = REVOCATION_REASONS.find((reason) => reason === text);
  if (known) return known;
  throw new BirthmarkError(
    'reason-invalid',
    text === 'certificateHold'
      ? 'certificateHold is not for ever: hold the certificate instead'
      : `reason must be one of unspecified, ${REVOCATION_REASONS.join(', ')} (RFC 5280 §5.3.1)`,
    { field: 'reason' },
  );
}
