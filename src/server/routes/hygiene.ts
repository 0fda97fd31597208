import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { FINDING_KINDS } from '../../fleet/campaign/selection.ts';
import type { Hygiene } from '../../fleet/hygiene/hygiene.ts';
import type { HygieneScan } from '../../fleet/hygiene/ports.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { toDateTime } from './schemas.ts';

const Scan = Type.Object({
  tests: Type.String({ description: 'Which tests, and of which version.' }),
  startedAt: Type.String({ format: 'date-time' }),
  startedBy: Type.String(),
  endedAt: Type.Optional(Type.String({ format: 'date-time' })),
  devices: Type.Integer({ description: 'Looked at so far.' }),
  certificates: Type.Integer(),
  rsaKeys: Type.Integer(),
  percent: Type.Integer(),
  primes: Type.Optional(
    Type.String({ description: 'What became of the search for primes that moduli share.' }),
  ),
});

const Report = Type.Object({
  scan: Type.Optional(Scan),
  isCurrent: Type.Boolean({
    description: 'Whether the last scan is whole, and made with the tests of this version.',
  }),
  lines: Type.Array(
    Type.Object({
      finding: Type.Enum([...FINDING_KINDS]),
      certificates: Type.Integer(),
      devices: Type.Integer(),
      selection: Type.Object(
        { finding: Type.Enum([...FINDING_KINDS]) },
        { description: 'What a campaign takes: POST /campaigns with it.' },
      ),
    }),
  ),
});

const ScanBody = Type.Object(
  {
    afresh: Type.Optional(
      Type.Boolean({ default: true, description: 'Begin a new scan where the last is at its end.' }),
    ),
  },
  { additionalProperties: false },
);

export interface HygieneRoutes {
  readonly hygiene: Hygiene;
  readonly authenticate: Authenticate;
}

export function mountHygiene(app: FastifyInstance, { hygiene, authenticate }: HygieneRoutes): void {
  app.get(
    '/hygiene',
    {
      schema: {
        summary: 'What the last look at every key and device found',
        tags: ['hygiene'],
        response: { 200: Report },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const { scan, isCurrent, lines } = await hygiene.report();
      return {
        ...(scan && { scan: toAnswer(scan) }),
        isCurrent,
        lines: lines.map(({ kind, certificates, devices }) => ({
          finding: kind,
          certificates,
          devices,
          selection: { finding: kind },
        })),
      };
    },
  );

  app.post<{ Body: Static<typeof ScanBody> }>(
    '/hygiene/scan',
    {
      schema: {
        summary: 'Look at every key and device, for some seconds',
        description:
          'Goes on with a scan that is under way. Send it again with afresh false until the answer has endedAt.',
        tags: ['hygiene'],
        body: ScanBody,
        response: { 200: Scan },
      },
      preValidation: (request, _reply, done) => {
        request.body ??= {};
        done();
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      return toAnswer(await hygiene.scan(caller.actor, request.body.afresh ?? true));
    },
  );
}

function toAnswer({ id: _id, startedAt, endedAt, through, lastDevice, ...scan }: HygieneScan) {
  return {
    ...scan,
    startedAt: toDateTime(startedAt),
    ...(endedAt !== undefined && { endedAt: toDateTime(endedAt) }),
    percent: endedAt !== undefined || lastDevice === 0 ? 100 : Math.floor((99 * through) / lastDevice),
  };
}
