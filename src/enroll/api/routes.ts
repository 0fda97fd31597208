import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import type { Actor } from '../../core/audit.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type RenewalDesk, renewalOf, renewalOfNew } from '../../fleet/renewal/renewal-desk.ts';
import { toPem } from '../../x509/pem.ts';
import { parseCsrText } from '../csr-text.ts';
import type { DeviceDoor } from '../device-door.ts';
import { findLabel, type Label, type Labels, ticketLabel } from '../label.ts';
import type { Peer } from '../peer.ts';
import type { Ledger, Role, TicketRecord, TokenRecord } from '../ports.ts';
import { approveRecoveryTicket, createRecoveryTicket } from '../recovery-ticket.ts';
import { createTicket, presentTicket } from '../ticket.ts';

/** What the door needs of the server. */
export interface EnrollmentDoor {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly labels: Labels;
  readonly devices: DeviceDoor;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly authenticate: (
    request: FastifyRequest,
  ) => Promise<{ readonly actor: Actor; readonly role: Role; readonly token?: TokenRecord }>;
  /** Whether recovery tickets wait for a second person. */
  readonly secondApproval: boolean;
  /** When certificates are to be renewed. */
  readonly renewal: RenewalDesk;
  /** What `Authorization: Bearer` holds. */
  readonly bearerOf: (request: FastifyRequest) => string | undefined;
  readonly peerOf: (request: FastifyRequest) => Peer;
  readonly limitFailures: <T>(request: FastifyRequest, check: () => Promise<T>) => Promise<T>;
}

const HOUR_SECONDS = 3600;
const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;

const EnrollBody = Type.Object(
  {
    csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }),
    label: Type.Optional(
      Type.String({
        description:
          'The label whose rules admit the device. Without it: the first one that gives this profile.',
      }),
    ),
    profile: Type.Optional(
      Type.String({ description: 'Must be the profile of the ticket or the label where it is given.' }),
    ),
  },
  { additionalProperties: false },
);

const Enrolled = Type.Object({
  serialNumber: Type.String({ description: "The device's serial number." }),
  serial: Type.String({ description: "The certificate's serial number, hexadecimal." }),
  certificate: Type.String({ description: 'PEM.' }),
  chain: Type.Array(Type.String(), { description: 'PEM: the issuing authority first, without the root.' }),
  notGranted: Type.Array(Type.String(), {
    description: 'What the CSR asked for and the certificate does not have.',
  }),
  renewal: Type.Optional(
    Type.Object(
      {
        id: Type.String({ description: 'For GET /renewal-info/{id}.' }),
        start: Type.String({ format: 'date-time' }),
        end: Type.String({ format: 'date-time' }),
      },
      {
        description:
          'When to renew it: within this window, at a time chosen by chance. Absent where it never is.',
      },
    ),
  ),
});

const TicketBody = Type.Object(
  {
    serialNumber: Type.String({ description: "The device's serial number." }),
    profile: Type.Optional(Type.String({ description: 'ldevid where it is not given.' })),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: YEAR_SECONDS, default: HOUR_SECONDS }),
    ),
    recovery: Type.Optional(
      Type.Boolean({
        description:
          'For a device whose IDevID is compromised: it gets another one of its profile, by this ticket alone.',
      }),
    ),
    key: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description: 'Of a recovery: SHA-256 of the SubjectPublicKeyInfo that alone may use it, hexadecimal.',
      }),
    ),
  },
  { additionalProperties: false },
);

const Ticket = Type.Object({
  id: Type.String({ description: 'Its public half.' }),
  needsApproval: Type.Boolean({ description: 'Whether another person must say yes before it is good.' }),
  ticket: Type.String({ description: 'The secret. It is shown once and kept nowhere.' }),
  serialNumber: Type.String(),
  profile: Type.String(),
  expiresAt: Type.String({ format: 'date-time' }),
});

const ApprovedTicket = Type.Object({
  id: Type.String(),
  serialNumber: Type.String(),
  approvedBy: Type.String(),
});

/**
 * The label that was named; else the first one that gives this profile; else, for a ticket, one of its own: it says by itself
 * who may have what.
 *
 * @throws BirthmarkError `not-found`, `profile-not-allowed`, `profile-unknown`
 */
function chooseLabel(
  { labels, issuing }: EnrollmentDoor,
  {
    label: name,
    profile,
    ticket,
  }: { label?: string | undefined; profile?: string | undefined; ticket?: TicketRecord | undefined },
): Label {
  if (ticket && profile !== undefined && profile !== ticket.profile)
    throw profileNotAllowed(`this ticket is for profile ${ticket.profile}`);
  const gives = ({ profile: given }: Label) => profile === undefined || given.name === profile;
  const candidates = name === undefined ? [findLabel(labels), ...labels.values()] : [findLabel(labels, name)];
  const label = candidates.find(gives);
  if (label) return label;
  if (ticket && name === undefined) return ticketLabel(issuing.profile(ticket.profile));
  throw profileNotAllowed(
    name === undefined
      ? `no label gives certificates of profile ${JSON.stringify(profile).slice(0, 80)}`
      : `label ${name} gives certificates of another profile`,
  );
}

function profileNotAllowed(why: string): BirthmarkError {
  return new BirthmarkError('profile-not-allowed', why, { field: 'profile' });
}

/** `POST /enroll` for one device, and `POST /tickets` for those who hand them out. */
export function mountEnrollmentDoor(app: FastifyInstance, door: EnrollmentDoor): void {
  app.post<{ Body: Static<typeof EnrollBody> }>(
    '/enroll',
    {
      schema: {
        summary: 'Enroll one device',
        description:
          'With a one-time ticket as bearer token, or with a client certificate: an IDevID, a current LDevID, or the IDevID of a ' +
          'manufacturer that was trusted, as the label admits. The first use of a ticket binds it to that key; the same key gets the ' +
          'same certificate, another one is refused.',
        tags: ['enrollment'],
        body: EnrollBody,
        response: { 200: Enrolled },
      },
    },
    async (request) => {
      const bearer = door.bearerOf(request);
      const peer = door.peerOf(request);
      const ticket =
        bearer === undefined && peer.certificate
          ? undefined
          : await door.limitFailures(request, () => presentTicket(bearer, door.ledger, door.clock));
      const { csr, profile = ticket?.profile, label } = request.body;
      const outcome = await door.devices.enroll({
        label: chooseLabel(door, { label, profile, ticket }),
        operation: 'enroll',
        csr: parseCsrText(csr),
        peer,
        door: 'api',
        bound: false,
        ...(ticket && { ticket }),
      });
      const renewal = outcome.fresh
        ? renewalOfNew(door.renewal, outcome.fresh)
        : await renewalOf(door.renewal, outcome.serial);
      return {
        serialNumber: outcome.serialNumber,
        serial: toHex(outcome.serial),
        certificate: toPem('CERTIFICATE', outcome.certificate),
        chain: outcome.chain.map((der) => toPem('CERTIFICATE', der)),
        notGranted: [...outcome.notGranted],
        ...(renewal && {
          renewal: {
            id: renewal.id,
            start: new Date(renewal.window.start).toISOString(),
            end: new Date(renewal.window.end).toISOString(),
          },
        }),
      };
    },
  );

  app.post<{ Body: Static<typeof TicketBody> }>(
    '/tickets',
    {
      schema: {
        summary: 'Make a one-time enrollment ticket for a device',
        tags: ['enrollment'],
        body: TicketBody,
        response: { 201: Ticket },
      },
    },
    async (request, reply) => {
      const caller = await door.authenticate(request);
      const { serialNumber, profile, expiresInSeconds = HOUR_SECONDS, recovery = false, key } = request.body;
      refuseMixed(request.body);
      const expiresInMs = expiresInSeconds * 1000;
      const made = recovery
        ? await createRecoveryTicket(
            { serialNumber, expiresInMs, ...(key !== undefined && { key }) },
            caller,
            door,
          )
        : await createTicket({ serialNumber, profile: profile ?? 'ldevid', expiresInMs }, caller, door);
      return reply.code(201).send({ ...made, expiresAt: new Date(made.expiresAt).toISOString() });
    },
  );

  app.post<{ Params: { id: string } }>(
    '/tickets/:id/approve',
    {
      schema: {
        summary: 'Say yes to a recovery ticket that another person made',
        tags: ['enrollment'],
        params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
        response: { 200: ApprovedTicket },
      },
    },
    async (request) => {
      const { actor, role, token } = await door.authenticate(request);
      const person = { actor, role, ...(token && { madeBy: token.createdBy }) };
      const {
        id,
        serialNumber,
        approvedBy = actor,
      } = await approveRecoveryTicket(request.params.id, person, door);
      return { id, serialNumber, approvedBy };
    },
  );
}

/** @throws BirthmarkError `bad-request` */
function refuseMixed({ recovery = false, key, profile }: Static<typeof TicketBody>): void {
  if (!recovery && key !== undefined)
    throw new BirthmarkError('bad-request', 'a key is said for a recovery only', { field: 'key' });
  if (recovery && profile !== undefined)
    throw new BirthmarkError('bad-request', 'a recovery gives the profile that the device had', {
      field: 'profile',
    });
}
