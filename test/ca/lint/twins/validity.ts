import { primitive } from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { NO_EXPIRY } from '../../../../src/x509/der/time.ts';
import { time } from '../../../../src/x509/der/values.ts';
import { issuerOf } from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const utc = (digits: string) => primitive(TAG.utcTime, Buffer.from(digits));
const generalized = (digits: string) => primitive(TAG.generalizedTime, Buffer.from(digits));

export const validityTwins: readonly Twin[] = [
  ...[
    '2608310000Z',
    '260831000000',
    '260831000000+0000',
    '260231000000Z',
    '26083100000xZ',
    '260831240000Z',
  ].map(
    (text): Twin => ({
      rule: 'validity.malformed',
      kind: 'idevid',
      accepts: () => ({ notBefore: utc('260831000000Z') }),
      refuses: () => ({ notBefore: utc(text) }),
    }),
  ),
  {
    rule: 'validity.malformed',
    kind: 'idevid',
    // A fraction of a second is DER, but not what RFC 5280 wants.
    refuses: () => ({ notAfter: generalized('99991231235959.5Z') }),
  },
  {
    rule: 'validity.generalized-time.too-early',
    kind: 'idevid',
    accepts: () => ({ notBefore: utc('260901000000Z') }),
    refuses: () => ({ notBefore: generalized('20260901000000Z') }),
  },
  {
    rule: 'validity.year-99',
    kind: 'idevid',
    accepts: () => ({ notAfter: generalized('99991231235959Z') }),
    refuses: () => ({ notAfter: utc('991231235959Z') }),
    also: ['idevid.validity.ends', 'validity.order'],
  },
  {
    rule: 'validity.order',
    kind: 'ldevid',
    accepts: () => ({ notBefore: time(Date.UTC(2027, 7, 31)) }),
    refuses: () => ({ notBefore: time(Date.UTC(2027, 8, 1)) }),
  },
  { rule: 'idevid.validity.ends', kind: 'idevid', refuses: () => ({ notAfter: utc('350101000000Z') }) },
  {
    rule: 'validity.endless',
    kind: 'ldevid',
    refuses: () => ({ notAfter: time(NO_EXPIRY) }),
    also: ['validity.outlives-issuer'],
  },
  {
    rule: 'validity.outlives-issuer',
    kind: 'ldevid',
    accepts: () => ({ notAfter: time(Date.UTC(2036, 0, 1)) }),
    refuses: () => ({ notAfter: time(Date.UTC(2036, 0, 1) + 1000) }),
  },
  {
    rule: 'idevid.validity.outlives-issuer',
    kind: 'idevid',
    accepts: () => ({ notAfter: time(Date.UTC(2036, 0, 1)) }),
    refuses: () => ({ notAfter: time(Date.UTC(2036, 0, 1) + 1000) }),
    aside: ['idevid.validity.ends'],
    also: ['idevid.validity.ends'],
  },
  {
    rule: 'validity.before-issuer',
    kind: 'idevid',
    refuses: () => ({}),
    refusedIssuer: () => issuerOf('idevid', () => ({ notBefore: time(Date.UTC(2026, 8, 1) + 1000) })),
  },
];
