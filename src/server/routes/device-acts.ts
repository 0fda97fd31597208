import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import type { DeviceAct, DeviceDesk } from '../../fleet/recovery/device-desk.ts';
import { type Authenticate, assertRole } from '../caller.ts';

const Params = Type.Object({ serialNumber: Type.String() });
const InNamespace = Type.Object(
  { namespace: Type.String({ default: OWN_NAMESPACE }) },
  { additionalProperties: false },
);
const RecoverBody = Type.Object(
  {
    credential: Type.Enum(['ldevid', 'idevid'], {
      description:
        'Whose key is out. ldevid: it comes back with its IDevID and a new key. idevid: by a recovery ticket only.',
    }),
  },
  { additionalProperties: false },
);
const Result = Type.Object({
  namespace: Type.String(),
  serialNumber: Type.String(),
  state: Type.String(),
  changed: Type.Integer({ description: 'How many certificates were revoked, held or released.' }),
  published: Type.Boolean({
    description: 'Whether the CRLs that they name tell it; where not, that is tried again.',
  }),
});

const ACTS = [
  [
    'quarantine',
    'Shut a device out',
    'All that it has is held, and brokers end its sessions. Saying it twice is harmless.',
  ],
  [
    'release',
    'End a quarantine',
    'What the quarantine held is released; what was held before it stays held.',
  ],
  [
    'retire',
    'Take a device out of use, for good',
    'All that it has is revoked for cessationOfOperation, its tickets are dead, and it never comes back.',
  ],
  [
    'call-renewal',
    'Call for the renewal of what a device has, now',
    'Its renewal-info says now from here on; it is the device that renews.',
  ],
] as const;

/** Acts whose address is not their name. */
const NAMES: Readonly<Record<(typeof ACTS)[number][0], DeviceAct>> = {
  quarantine: 'quarantine',
  release: 'release',
  retire: 'retire',
  'call-renewal': 'callRenewal',
};

export interface DeviceActRoutes {
  readonly deviceDesk: DeviceDesk;
  readonly authenticate: Authenticate;
}

/** What operators do with a device and all that it has. */
export function mountDeviceActs(app: FastifyInstance, { deviceDesk, authenticate }: DeviceActRoutes): void {
  const run = async (act: DeviceAct, namespace: string, serialNumber: string, actor: string) => ({
    namespace,
    serialNumber,
    ...(await deviceDesk(act, { namespace, serialNumber }, actor)),
  });

  for (const [act, summary, description] of ACTS) {
    app.post<{ Params: Static<typeof Params>; Querystring: Static<typeof InNamespace> }>(
      `/devices/:serialNumber/${act}`,
      {
        schema: {
          summary,
          description,
          tags: ['devices'],
          params: Params,
          querystring: InNamespace,
          response: { 200: Result },
        },
      },
      async (request) => {
        const caller = await authenticate(request);
        assertRole(caller, 'admin', 'operator');
        return run(NAMES[act], request.query.namespace, request.params.serialNumber, caller.actor);
      },
    );
  }

  app.post<{
    Params: Static<typeof Params>;
    Querystring: Static<typeof InNamespace>;
    Body: Static<typeof RecoverBody>;
  }>(
    '/devices/:serialNumber/recover',
    {
      schema: {
        summary: 'Say that a key of a device is out',
        description:
          'Revokes for keyCompromise what that key and its lineage have, blocks the keys, ends the tickets that were made for the ' +
          'device, and opens the one way back that is left.',
        tags: ['devices'],
        params: Params,
        querystring: InNamespace,
        body: RecoverBody,
        response: { 200: Result },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      const act = request.body.credential === 'ldevid' ? 'recoverLdevid' : 'recoverIdevid';
      return run(act, request.query.namespace, request.params.serialNumber, caller.actor);
    },
  );
}
