import Type, { type Static } from 'typebox';
import type { OcspPolicy } from './sign-answer.ts';

const HOUR_MS = 3_600_000;

/** The responder as the configuration writes it. */
export const OcspConfigSchema = Type.Object(
  {
    validityHours: Type.Integer({
      minimum: 1,
      maximum: 96,
      description: 'From thisUpdate to nextUpdate of an answer.',
    }),
    maxAgeSeconds: Type.Integer({
      minimum: 0,
      maximum: 86_400,
      description:
        'How long proxies and CDNs may keep an answer: behind one, this is how late a revocation is heard of. Never more than a ' +
        'quarter of validityHours.',
    }),
    neverIssued: Type.Enum(['revoked', 'unknown'], {
      description:
        'What is said of a serial number that was never issued: revoked (RFC 6960 §2.2: nobody should take such a certificate), or ' +
        'unknown, upon which some ask elsewhere. Never good.',
    }),
    signaturesPerSecond: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100_000,
        description:
          'How many answers that are of use to nobody else (with a nonce, for several certificates, for what was never issued) one ' +
          'source may have signed, on average; twice as many at once. Ten times as many where the answer is kept for all, of which it then ' +
          'has any number. More are answered with tryLater. A source is an IPv4 address or ' +
          'an IPv6 /64; loopback has no limit, nor has anybody with 0. Default 100.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type OcspConfig = Static<typeof OcspConfigSchema>;

export const DEFAULT_OCSP: OcspConfig & { readonly signaturesPerSecond: number } = {
  validityHours: 24,
  maxAgeSeconds: 300,
  neverIssued: 'revoked',
  signaturesPerSecond: 100,
};

export function parseOcspPolicy({ validityHours, maxAgeSeconds, neverIssued }: OcspConfig): OcspPolicy {
  return { maxAgeSeconds, neverIssued, validityMs: validityHours * HOUR_MS };
}
