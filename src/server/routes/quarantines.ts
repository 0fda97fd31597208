import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { QuarantineDesk } from '../../fleet/quarantine-desk.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { certificateAsSeen, refuseOtherListeners } from './sightings.ts';
import { ListenerName } from './tokens.ts';

const closed = { additionalProperties: false } as const;
const Word = (description: string) =>
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9-]{0,62}$', description });

const QuarantinesBody = Type.Object(
  {
    devices: Type.Array(
      Type.Object(
        {
          ...certificateAsSeen,
          listener: ListenerName,
          rule: Word("Of the gate's behaviour guard."),
          behaviour: Word('What the rule counts.'),
          count: Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'What was counted.' }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 50, description: 'By the certificate that each showed in its handshake.' },
    ),
  },
  closed,
);

const Quarantined = Type.Object({
  results: Type.Array(Type.Enum(['held', 'already', 'unknown', 'tooMany']), {
    description:
      "In order. held: all of the device's certificates are on hold now. already: they were, or are revoked. unknown: no device of " +
      'ours showed that. tooMany: this gate has asked for so many within an hour that a person must look first.',
  }),
});

export interface QuarantineRoutes {
  readonly quarantine: QuarantineDesk;
  readonly authenticate: Authenticate;
}

export function mountQuarantines(app: FastifyInstance, { quarantine, authenticate }: QuarantineRoutes): void {
  app.post<{ Body: Static<typeof QuarantinesBody> }>(
    '/quarantines',
    {
      schema: {
        summary: "A gate's word that devices misbehave",
        description:
          "The behaviour guard of a gate asks for quarantine: the device's certificates are put on hold, with an incident, until a " +
          'person releases them. Told again, nothing changes. A token speaks for its own listeners only (token create --listener).',
        tags: ['status'],
        body: QuarantinesBody,
        response: { 200: Quarantined },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'gate');
      const { devices } = request.body;
      refuseOtherListeners(
        caller,
        devices.map(({ listener }) => listener),
        'devices',
      );
      return { results: [...(await quarantine(devices, caller.actor))] };
    },
  );
}
