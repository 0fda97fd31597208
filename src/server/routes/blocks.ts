import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { BlockDesk, GateBlock } from '../../broker-auth/guard/block-desk.ts';
import type { Actor } from '../../core/audit.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Authenticate } from '../caller.ts';
import { toDateTime } from './schemas.ts';

const Block = Type.Object({
  gate: Type.String(),
  who: Type.String({
    description: 'device:NAMESPACE/ID, certificate:ISSUERKEYID/SERIAL or address:ADDRESS.',
  }),
  rule: Type.String(),
  behaviour: Type.String(),
  reaction: Type.String(),
  since: Type.String({ format: 'date-time' }),
  until: Type.Optional(
    Type.String({ format: 'date-time', description: 'Until a person lifts it where absent.' }),
  ),
  count: Type.Integer({ description: 'What was counted when it began.' }),
  listener: Type.String({ description: 'Where the last of it was seen.' }),
  listeners: Type.Optional(
    Type.Array(Type.String(), { description: 'Where it holds; everywhere where absent.' }),
  ),
  serial: Type.Optional(Type.String({ description: 'Of the certificate that it showed.' })),
  told: Type.Optional(Type.Boolean({ description: 'The authority knows of this quarantine.' })),
});
const LiftBody = Type.Object(
  { who: Type.String({ minLength: 1, maxLength: 1024, description: 'As the list names it.' }) },
  { additionalProperties: false },
);

export interface BlockRoutes {
  /** Undefined where no gate is in this process. */
  readonly blocks?: BlockDesk;
  readonly authenticate: Authenticate;
  /** Writes down who lifted what. */
  readonly onLift: (lifted: readonly GateBlock[], actor: Actor) => Promise<void>;
}

/** Who is restrained by the behaviour guard of this process: for who owns it, on its Unix socket only. */
export function mountBlocks(app: FastifyInstance, { blocks, authenticate, onLift }: BlockRoutes): void {
  const desk = () => {
    if (blocks) return blocks;
    throw new BirthmarkError(
      'unavailable',
      'no gate runs here: it does in birthmark serve, and in birthmark broker-auth serve',
    );
  };

  app.get(
    '/gate/blocks',
    { schema: { hide: true, response: { 200: Type.Object({ items: Type.Array(Block) }) } } },
    async (request) => {
      await authenticate(request);
      return { items: desk().list().map(toAnswer) };
    },
  );

  app.post<{ Body: Static<typeof LiftBody> }>(
    '/gate/blocks/lift',
    { schema: { hide: true, body: LiftBody, response: { 200: Type.Object({ lifted: Type.Array(Block) }) } } },
    async (request) => {
      const { actor } = await authenticate(request);
      const { who } = request.body;
      const lifted = desk().lift(who);
      if (lifted.length === 0)
        throw new BirthmarkError(
          'not-found',
          `nothing restrains ${who} here; birthmark broker-auth blocks list names those that are (a quarantine that the authority ` +
            'knows of ends by birthmark device release)',
          { field: 'who' },
        );
      await onLift(lifted, actor);
      return { lifted: lifted.map(toAnswer) };
    },
  );
}

function toAnswer(block: GateBlock): Static<typeof Block> {
  const { gate, who, rule, behaviour, reaction, since, until, count, listener, listeners, credential, told } =
    block;
  return {
    ...{ gate, who, rule, behaviour, reaction, count, listener },
    since: toDateTime(since),
    ...(until !== undefined && { until: toDateTime(until) }),
    ...(listeners && { listeners: [...listeners] }),
    ...(credential && { serial: credential.serial }),
    ...(told && { told }),
  };
}
