import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Ledger, TrustedCa } from '../../enroll/ports.ts';
import { distrustCa, trustCa } from '../../enroll/trust-ca.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { nameToText } from '../../x509/name.ts';
import { type Authenticate, assertRole } from '../caller.ts';
import { toDateTime } from './schemas.ts';

const VALIDITY = 'Which certificates of a chain must not have expired: all, the leaf, or none.';

const TrustBody = Type.Object(
  {
    certificate: Type.String({ description: 'PEM; several certificates are taken together or not at all.' }),
    namespace: Type.String({ description: "Whose serial numbers these are: the manufacturer's name." }),
    serialPattern: Type.Optional(Type.String({ description: '* any run of characters, ? one.' })),
    validity: Type.Optional(Type.Enum(['all', 'leaf', 'none'], { default: 'all', description: VALIDITY })),
  },
  { additionalProperties: false },
);

const Trusted = Type.Object({
  namespace: Type.String(),
  fingerprint: Type.String({ description: 'SHA-256 of the certificate, hexadecimal.' }),
  subject: Type.String(),
  notAfter: Type.String({ format: 'date-time' }),
  serialPattern: Type.Optional(Type.String()),
  validity: Type.String({ description: VALIDITY }),
  addedAt: Type.String({ format: 'date-time' }),
  addedBy: Type.String(),
});
const TrustedList = Type.Object({ items: Type.Array(Trusted) });

export interface TrustRoutes {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
}

export function mountTrust(
  app: FastifyInstance,
  { ledger, issuing, authenticate, clock }: TrustRoutes,
): void {
  const room = { ledger, authorities: issuing.authorities, clock };

  app.post<{ Body: Static<typeof TrustBody> }>(
    '/trust',
    {
      schema: {
        summary: "Trust a manufacturer's CA",
        description: 'Devices that it gave an IDevID may enroll here, in the namespace given and no other.',
        tags: ['trust'],
        body: TrustBody,
        response: { 201: TrustedList },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      const added = await trustCa(request.body, caller.actor, room);
      return reply.code(201).send({ items: added.map(toAnswer) });
    },
  );

  app.get(
    '/trust',
    {
      schema: {
        summary: 'The CAs that are trusted, oldest first',
        tags: ['trust'],
        response: { 200: TrustedList },
      },
    },
    async (request) => {
      assertRole(await authenticate(request), 'admin', 'operator', 'auditor');
      return { items: (await ledger.read.listTrustedCas()).map(toAnswer) };
    },
  );

  app.delete<{ Params: { fingerprint: string } }>(
    '/trust/:fingerprint',
    {
      schema: {
        summary: 'Trust a CA no longer',
        description: 'What its devices were given stays theirs.',
        tags: ['trust'],
        params: Type.Object({ fingerprint: Type.String() }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const caller = await authenticate(request);
      assertRole(caller, 'admin');
      await distrustCa(parseFingerprint(request.params.fingerprint), caller.actor, room);
      return reply.code(204).send();
    },
  );
}

/** As OpenSSL writes it too, in capitals with colons. */
function parseFingerprint(text: string): Uint8Array {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return Buffer.from(hex, 'hex');
  throw new BirthmarkError('bad-request', 'fingerprint must be a SHA-256 in hexadecimal, 64 digits', {
    field: 'fingerprint',
  });
}

function toAnswer({ certificate, fingerprint, addedAt, ...ca }: TrustedCa): Static<typeof Trusted> {
  const { subject, notAfter } = parseCertificate(certificate).tbs;
  return {
    ...ca,
    fingerprint: toHex(fingerprint),
    subject: nameToText(subject),
    notAfter: toDateTime(notAfter.at),
    addedAt: toDateTime(addedAt),
  };
}
