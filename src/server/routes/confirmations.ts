import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { ConfirmationDesk } from '../../enroll/confirm.ts';
import { parseCsrText } from '../../enroll/csr-text.ts';
import type { ReportLimits } from '../report-limits.ts';
import { toDateTime } from './schemas.ts';

const Body = Type.Object(
  {
    csr: Type.String({
      description:
        "PKCS#10, as PEM or as base64 of the DER, signed with the certificate's key; its subject CN= and the challenge.",
    }),
    serial: Type.Optional(
      Type.String({
        pattern: '^(?:[0-9a-f]{2}){1,20}$',
        description:
          'Of the certificate, hexadecimal; needed where several that stand have the key, since it does not tell then which one came.',
      }),
    ),
  },
  { additionalProperties: false },
);
const Confirmed = Type.Object({
  serial: Type.String({ description: 'Of the certificate, hexadecimal.' }),
  first: Type.Boolean({
    description: 'Whether nobody had seen it before: the one before it retires after the grace.',
  }),
});
const ChallengeAnswer = Type.Object({
  challenge: Type.String({ description: 'The common name of the CSR to send.' }),
  expires: Type.String({ format: 'date-time' }),
});
const MOST_OCTETS = 32 * 1024;

export interface ConfirmationRoutes {
  readonly confirmations: ConfirmationDesk;
  readonly confirmationLimits: ReportLimits;
}

/** For devices that cannot show a certificate in a handshake. No sign-in: the key speaks for itself. */
export function mountConfirmations(
  app: FastifyInstance,
  { confirmations, confirmationLimits }: ConfirmationRoutes,
): void {
  app.get(
    '/confirmations',
    {
      schema: {
        summary: 'Get a challenge to sign with a new key',
        description: 'No sign-in. Good for some minutes, any number of times.',
        tags: ['enrollment'],
        security: [],
        response: { 200: ChallengeAnswer },
      },
    },
    (_request, reply) => {
      const { challenge, expires } = confirmations.challenge();
      return reply.header('cache-control', 'no-store').send({ challenge, expires: toDateTime(expires) });
    },
  );
  app.post<{ Body: Static<typeof Body> }>(
    '/confirmations',
    {
      bodyLimit: MOST_OCTETS,
      onRequest: confirmationLimits.ofAddress,
      schema: {
        summary: 'Say that a new certificate is in use',
        description:
          'No sign-in. For devices that cannot do mutual TLS: the first such word begins the grace after which the certificate before ' +
          'retires, as the first use at a broker or at EST does. Saying it twice is harmless.',
        tags: ['enrollment'],
        security: [],
        body: Body,
        response: { 200: Confirmed },
      },
    },
    (request) =>
      confirmations.confirm(
        parseCsrText(request.body.csr),
        () => confirmationLimits.ofAll(request),
        request.body.serial === undefined ? undefined : Buffer.from(request.body.serial, 'hex'),
      ),
  );
}
