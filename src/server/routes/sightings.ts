import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { type NoteSightingsOptions, noteSightings } from '../../fleet/note-sightings.ts';
import { type Authenticate, assertRole, type Caller } from '../caller.ts';
import { ListenerName } from './tokens.ts';

/** A certificate as a gate knows it, and when it saw it. */
export const certificateAsSeen = {
  issuerKeyId: Type.String({
    pattern: '^(?:[0-9a-f]{2}){1,64}$',
    description: 'Of the key that signed it, hexadecimal, as the status feed names it.',
  }),
  serial: Type.String({ pattern: '^(?:[0-9a-f]{2}){1,21}$', description: 'Hexadecimal.' }),
  at: Type.String({ format: 'date-time', description: "By the gate's clock." }),
};
const closed = { additionalProperties: false } as const;
const MOST = 500;

const SightingsBody = Type.Object(
  {
    seen: Type.Optional(
      Type.Array(Type.Object({ ...certificateAsSeen, listener: ListenerName }, closed), {
        maxItems: MOST,
        description: 'Certificates that were let in.',
      }),
    ),
    enforced: Type.Optional(
      Type.Array(Type.Object(certificateAsSeen, closed), {
        maxItems: MOST,
        description: 'Certificates whose revocation or hold is enforced: no session stands on them any more.',
      }),
    ),
    refused: Type.Optional(
      Type.Array(Type.Object({ ...certificateAsSeen, listener: ListenerName }, closed), {
        maxItems: MOST,
        description: 'Certificates that proved their key and were denied because they were taken back.',
      }),
    ),
    sentAt: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          "What the gate's clock says as it sends this: where it is wrong, its times are set right by it.",
      }),
    ),
  },
  closed,
);

const Noted = Type.Object({
  seen: Type.Integer({ description: 'Seen for the first time.' }),
  enforced: Type.Integer({ description: 'Enforced for the first time.' }),
  unknown: Type.Integer({ description: 'Of no certificate of ours: passed over.' }),
});

export interface SightingRoutes extends NoteSightingsOptions {
  readonly authenticate: Authenticate;
}

export function mountSightings(app: FastifyInstance, { authenticate, ...options }: SightingRoutes): void {
  app.post<{ Body: Static<typeof SightingsBody> }>(
    '/sightings',
    {
      schema: {
        summary: "A gate's word of what it saw",
        description:
          'That a credential was let in or turned away, or that a revocation is enforced at a broker. The first word of each is kept; who ' +
          'tells it again changes nothing, unless a credential is used whose successor was: then two hold the identity (docs/rotation.md). A token speaks for its own listeners only (token create --listener).',
        tags: ['status'],
        body: SightingsBody,
        response: { 200: Noted },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'gate');
      const { seen = [], enforced = [], refused = [], sentAt } = request.body;
      if (seen.length + enforced.length + refused.length > 0)
        refuseOtherListeners(
          caller,
          [...seen, ...refused].map(({ listener }) => listener),
          'seen',
        );
      const timed = <T extends { at: string }>(one: T) => ({ ...one, at: Date.parse(one.at) });
      return noteSightings(
        options,
        {
          seen: seen.map(timed),
          enforced: enforced.map(timed),
          refused: refused.map(timed),
          ...(sentAt !== undefined && { sentAt: Date.parse(sentAt) }),
        },
        caller.actor,
      );
    },
  );
}

/**
 * A gate speaks for its own listeners.
 *
 * @throws BirthmarkError `forbidden`
 */
export function refuseOtherListeners(
  { token, role }: Caller,
  listeners: readonly string[],
  field: string,
): void {
  const own = token?.listeners ?? [];
  if (own.length === 0)
    throw new BirthmarkError(
      'forbidden',
      `this ${role} speaks for no listener; make a token with --listener for each that it may tell of`,
    );
  const other = listeners.find((listener) => !own.includes(listener));
  if (other !== undefined)
    throw new BirthmarkError('forbidden', `this token does not speak for listener ${other}`, {
      field,
    });
}
