import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';
import { type CompromiseDesk, PROOF_SUBJECT } from '../../enroll/compromise/compromise-desk.ts';
import { parseCsrText } from '../../enroll/csr-text.ts';
import type { ReportLimits } from '../report-limits.ts';
import { toDateTime } from './schemas.ts';

const Report = Type.Object(
  { csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }) },
  { additionalProperties: false },
);
const Answer = Type.Object({
  known: Type.Boolean({ description: 'Whether a certificate for the key was issued here.' }),
  revoked: Type.Integer({ description: 'How many certificates this report revoked.' }),
});
const ChallengeAnswer = Type.Object({
  challenge: Type.String({ description: 'The common name of the CSR to send.' }),
  expires: Type.String({ format: 'date-time' }),
});

const PKCS10 = 'application/pkcs10';
/** The largest CSR, as text in JSON. */
const MOST_OCTETS = 32 * 1024;
const SEQUENCE = 0x30;

export interface KeyCompromiseRoutes {
  readonly compromise: CompromiseDesk;
  readonly reportLimits: ReportLimits;
}

/** In a scope of its own: no other address here takes CSRs as they are. */
export function mountKeyCompromise(
  app: FastifyInstance,
  { compromise, reportLimits }: KeyCompromiseRoutes,
): void {
  app.addContentTypeParser(PKCS10, { parseAs: 'buffer', bodyLimit: MOST_OCTETS }, (_request, body, done) =>
    done(null, body),
  );
  app.get(
    '/key-compromise',
    {
      schema: {
        summary: 'Get a challenge to sign with a key that is out',
        description: 'No sign-in. Good for some minutes, any number of times.',
        tags: ['revocation'],
        security: [],
        response: { 200: ChallengeAnswer },
      },
    },
    (_request, reply) => {
      const { challenge, expires } = compromise.challenge();
      return reply.header('cache-control', 'no-store').send({ challenge, expires: toDateTime(expires) });
    },
  );
  app.post<{ Body: Static<typeof Report> | Buffer }>(
    '/key-compromise',
    {
      bodyLimit: MOST_OCTETS,
      onRequest: reportLimits.ofAddress,
      schema: {
        summary: 'Prove that a private key is in wrong hands',
        description:
          `No sign-in: the key speaks for itself. A CSR signed with it, whose subject is CN=${PROOF_SUBJECT}, or CN= and a challenge. ` +
          "A device's certificates for that key are revoked at once, and no door takes the key again; a key of an authority or a " +
          'service is an incident for people. Saying it twice is harmless. Also as application/pkcs10, DER or PEM.',
        tags: ['revocation'],
        security: [],
        body: { content: { 'application/json': { schema: Report }, [PKCS10]: { schema: Type.Any() } } },
        response: { 200: Answer },
      },
    },
    (request) => compromise.report(csrOf(request.body), () => reportLimits.ofAll(request)),
  );
}

/** @throws BirthmarkError `bad-request`, or as `parseCsrText` */
function csrOf(body: Static<typeof Report> | Buffer | null | undefined): Uint8Array {
  if (body === undefined || body === null)
    throw new BirthmarkError('bad-request', 'the body is missing; send a CSR', { field: 'csr' });
  if (!Buffer.isBuffer(body)) return parseCsrText(body.csr);
  if (body[0] === SEQUENCE) return body;
  const text = body.toString('latin1');
  return parseCsrText(text.includes('-----') ? text : text.replaceAll(/\s/g, ''));
}
