import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { toBase64 } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { isLabel, OWN_NAMESPACE } from '../../core/identifiers.ts';
import type { Ledger } from '../../enroll/ports.ts';
import { DEVICE_STATES, type DeviceRecord, QUARANTINE_CAUSES } from '../../fleet/ports.ts';
import { type DueRoom, findDueDevices } from '../../fleet/renewal/due-devices.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { CertificateSummary, summarize } from './certificate-summary.ts';
import { PageQuery, pageOf, toDateTime } from './schemas.ts';

const Device = Type.Object({
  namespace: Type.String(),
  serialNumber: Type.String(),
  state: Type.String(),
  model: Type.Optional(Type.String()),
  batch: Type.Optional(Type.String()),
  hwType: Type.Optional(Type.String()),
  hwSerialNum: Type.Optional(Type.String({ description: 'base64' })),
  createdAt: Type.String({ format: 'date-time' }),
  renewalDue: Type.Boolean({ description: 'Its LDevID is to be renewed by now.' }),
  rebirthAllowed: Type.Boolean({ description: 'An operator allowed it one more IDevID with another key.' }),
});

const Quarantine = Type.Object({
  cause: Type.Enum([...QUARANTINE_CAUSES], { description: 'What shut it out.' }),
  since: Type.String({ format: 'date-time' }),
  by: Type.String(),
});

const ListQuery = Type.Object(
  {
    ...PageQuery,
    query: Type.Optional(
      Type.String({
        maxLength: 64,
        description: 'Beginning of the serial number, or the whole model or batch.',
      }),
    ),
    state: Type.Optional(Type.Enum([...DEVICE_STATES])),
    namespace: Type.Optional(
      Type.String({ maxLength: 64, description: 'Ours (own), or that of a trusted CA.' }),
    ),
  },
  { additionalProperties: false },
);
const Params = Type.Object({ serialNumber: Type.String() });
const InNamespace = Type.Object(
  { namespace: Type.String({ default: OWN_NAMESPACE }) },
  { additionalProperties: false },
);

export interface DeviceRoutes {
  readonly ledger: Ledger;
  readonly authenticate: Authenticate;
  /** Guarded against going back. */
  readonly clock: Clock;
  /** What is only looked at is seen with a clock that went back, too. */
  readonly wallClock: Clock;
  readonly renewal: Omit<DueRoom, 'reads'>;
}

export function mountDevices(
  app: FastifyInstance,
  { ledger, authenticate, clock, wallClock, renewal }: DeviceRoutes,
): void {
  const findDue = (devices: readonly DeviceRecord[]) =>
    findDueDevices(
      { ...renewal, reads: ledger.read },
      devices.map(({ id }) => id),
      wallClock(),
    );
  const find = async (namespace: string, serialNumber: string): Promise<DeviceRecord> => {
    const [device] = await ledger.read.findDevices([{ namespace, serialNumber }]);
    if (device) return device;
    throw new BirthmarkError(
      'device-unknown',
      `there is no device ${JSON.stringify(serialNumber).slice(0, 80)} in namespace ${namespace}`,
    );
  };

  /** One that is ours or of a trusted CA may be empty; devices of a CA that is trusted no more are found all the same. */
  const refuseUnknown = async (namespace = OWN_NAMESPACE): Promise<void> => {
    if (namespace === OWN_NAMESPACE) return;
    if ((await ledger.read.listTrustedCas()).some((one) => one.namespace === namespace)) return;
    if ((await ledger.read.searchDevices({ namespace, limit: 1 })).items.length > 0) return;
    throw new BirthmarkError(
      'not-found',
      `there is no namespace ${namespace}: nobody's CA is trusted in it (birthmark trust list), and it has no device`,
      { field: 'namespace' },
    );
  };

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/devices',
    {
      schema: {
        summary: 'List devices by serial number',
        tags: ['devices'],
        querystring: ListQuery,
        response: { 200: pageOf(Device) },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const { namespace } = request.query;
      if (namespace !== undefined && !isLabel(namespace))
        throw new BirthmarkError(
          'bad-request',
          `namespace must be ${OWN_NAMESPACE}, or the label of a maker's (lower-case letters, digits and hyphens)`,
          { field: 'namespace' },
        );
      const page = await ledger.read.searchDevices(request.query);
      if (page.items.length === 0) await refuseUnknown(namespace);
      const due = await findDue(page.items);
      return { ...page, items: page.items.map((device) => toAnswer(device, due)) };
    },
  );

  app.get<{ Params: Static<typeof Params>; Querystring: Static<typeof InNamespace> }>(
    '/devices/:serialNumber',
    {
      schema: {
        summary: 'One device with its certificates',
        tags: ['devices'],
        params: Params,
        querystring: InNamespace,
        response: {
          200: Type.Object({
            ...Device.properties,
            quarantine: Type.Optional(Quarantine),
            certificates: Type.Array(CertificateSummary),
          }),
        },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      const device = await find(request.query.namespace, request.params.serialNumber);
      const certificates = await ledger.read.findByDevices([device.id]);
      const quarantine = await ledger.read.findQuarantine(device.id);
      return {
        ...toAnswer(device, await findDue([device])),
        ...(quarantine && {
          quarantine: {
            cause: quarantine.cause,
            since: toDateTime(quarantine.since),
            by: quarantine.orderedBy,
          },
        }),
        certificates: await summarize(
          ledger.read,
          certificates.filter(({ signature }) => signature !== undefined),
        ),
      };
    },
  );

  app.post<{ Params: Static<typeof Params>; Querystring: Static<typeof InNamespace> }>(
    '/devices/:serialNumber/allow-rebirth',
    {
      schema: {
        summary: 'Allow a device one more IDevID with another key',
        description: 'For a board whose secure element was replaced. The next birth uses the permission up.',
        tags: ['devices'],
        params: Params,
        querystring: InNamespace,
        response: { 200: Device },
      },
    },
    async (request) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin', 'operator');
      const device = await find(request.query.namespace, request.params.serialNumber);
      await ledger.write(async (tx) => {
        await tx.setRebirthAllowed(device.id, true);
        await tx.appendAudit([
          {
            at: clock(),
            actor: caller.actor,
            action: 'device.allow-rebirth',
            subject: `device:${device.namespace}/${device.serialNumber}`,
            outcome: 'done',
          },
        ]);
      });
      return toAnswer({ ...device, rebirthAllowed: true }, await findDue([device]));
    },
  );
}

function toAnswer(device: DeviceRecord, due: ReadonlySet<number>): Static<typeof Device> {
  const { namespace, serialNumber, state, model, batch, hardware, createdAt, rebirthAllowed } = device;
  return {
    renewalDue: due.has(device.id),
    namespace,
    serialNumber,
    state,
    ...(model === undefined ? {} : { model }),
    ...(batch === undefined ? {} : { batch }),
    ...(hardware === undefined
      ? {}
      : { hwType: hardware.hwType, hwSerialNum: toBase64(hardware.hwSerialNum) }),
    createdAt: toDateTime(createdAt),
    rebirthAllowed,
  };
}
