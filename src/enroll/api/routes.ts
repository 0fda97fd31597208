import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import type { Actor } from '../../core/audit.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { toPem } from '../../x509/pem.ts';
import { ticketAdmission } from '../admission.ts';
import { parseCsrText } from '../csr-text.ts';
import type { Enroller } from '../enroller.ts';
import type { Ledger, Role } from '../ports.ts';
import { createTicket, presentTicket } from '../ticket.ts';

/** What the door needs of the server. */
export interface EnrollmentDoor {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly enroll: Enroller;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly authenticate: (request: FastifyRequest) => Promise<{ readonly actor: Actor; readonly role: Role }>;
  /** What `Authorization: Bearer` holds. */
  readonly bearerOf: (request: FastifyRequest) => string | undefined;
}

const HOUR_SECONDS = 3600;
const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;

const EnrollBody = Type.Object(
  {
    csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }),
    profile: Type.Optional(
      Type.String({ description: 'Must be the profile of the ticket where it is given.' }),
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
});

const TicketBody = Type.Object(
  {
    serialNumber: Type.String({ description: "The device's serial number." }),
    profile: Type.Optional(Type.String({ default: 'ldevid' })),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: YEAR_SECONDS, default: HOUR_SECONDS }),
    ),
  },
  { additionalProperties: false },
);

const Ticket = Type.Object({
  ticket: Type.String({ description: 'The secret. It is shown once and kept nowhere.' }),
  serialNumber: Type.String(),
  profile: Type.String(),
  expiresAt: Type.String({ format: 'date-time' }),
});

/** `POST /enroll` for one device with a ticket, and `POST /tickets` for those who hand them out. */
export function mountEnrollmentDoor(app: FastifyInstance, door: EnrollmentDoor): void {
  app.post<{ Body: Static<typeof EnrollBody> }>(
    '/enroll',
    {
      schema: {
        summary: 'Enroll one device',
        description:
          'With a one-time ticket as bearer token. Its first use binds the ticket to that key; the same CSR key gets the same certificate ' +
          'until the ticket expires, another key is refused.',
        tags: ['enrollment'],
        body: EnrollBody,
        response: { 200: Enrolled },
      },
    },
    async (request) => {
      const ticket = await presentTicket(door.bearerOf(request), door.ledger, door.clock);
      const { csr, profile = ticket.profile } = request.body;
      if (profile !== ticket.profile) {
        throw new BirthmarkError('profile-not-allowed', `this ticket is for profile ${ticket.profile}`, {
          field: 'profile',
        });
      }
      const [outcome] = await door.enroll(
        [
          {
            device: { namespace: ticket.namespace, serialNumber: ticket.serialNumber },
            profile: door.issuing.profile(profile),
            csr: parseCsrText(csr),
          },
        ],
        ticketAdmission(ticket, door.clock),
      );
      if (outcome === undefined || outcome instanceof BirthmarkError)
        throw outcome ?? new BirthmarkError('internal', 'no outcome');
      return {
        serialNumber: outcome.serialNumber,
        serial: toHex(outcome.serial),
        certificate: toPem('CERTIFICATE', outcome.certificate),
        chain: outcome.chain.map((der) => toPem('CERTIFICATE', der)),
        notGranted: [...outcome.notGranted],
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
      const { serialNumber, profile = 'ldevid', expiresInSeconds = HOUR_SECONDS } = request.body;
      const made = await createTicket(
        { serialNumber, profile, expiresInMs: expiresInSeconds * 1000 },
        caller,
        door,
      );
      return reply.code(201).send({ ...made, expiresAt: new Date(made.expiresAt).toISOString() });
    },
  );
}
