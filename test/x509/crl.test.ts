import { expect, test } from 'vitest';
import { assembleSigned } from '../../src/x509/certificate.ts';
import { encodeCrl } from '../../src/x509/crl.ts';
import { createCrlEntries } from '../../src/x509/crl-entries.ts';
import { CRL_REASON, type CrlReasonName } from '../../src/x509/crl-reason.ts';
import { encode, primitive, sequence } from '../../src/x509/der/encode.ts';
import { TAG } from '../../src/x509/der/tags.ts';
import { encodeTimeContent } from '../../src/x509/der/time.ts';
import { time } from '../../src/x509/der/values.ts';
import { crlNumber, extension } from '../../src/x509/extensions.ts';
import { encodeName } from '../../src/x509/name.ts';
import { encodeTbsCertList } from './tbs-cert-list.ts';

type Row = readonly [string, number, CrlReasonName | null, number | null];

const FIELDS = {
  signatureAlgorithm: encode(sequence()),
  issuer: encodeName([{ type: 'CN', value: 'CA' }]),
  thisUpdate: Date.UTC(2049, 11, 31),
  nextUpdate: Date.UTC(2050, 0, 7),
  extensions: [crlNumber(7)],
};
const REASONS = [null, ...(Object.keys(CRL_REASON) as CrlReasonName[])];

/** Of every kind: serials of 1 to 21 octets, dates of both forms, with and without each extension. */
function makeRows(count: number): Row[] {
  return Array.from({ length: count }, (_, at) => [
    Buffer.alloc(1 + (at % 21), 1 + (at % 126)).toString('hex'),
    Date.UTC(at % 5 === 0 ? 2050 : 2026, 0, 1, 0, 0, Math.floor(at / 3)),
    REASONS[at % REASONS.length] ?? null,
    at % 4 === 0 ? Date.UTC(2025, 0, 1 + (at % 28)) : null,
  ]);
}

/** The plain way. */
function entryOf([serial, revokedAt, reason, invalidityAt]: Row) {
  const extensions = [
    ...(reason === null
      ? []
      : [extension('2.5.29.21', false, primitive(TAG.enumerated, Uint8Array.of(CRL_REASON[reason])))]),
    ...(invalidityAt === null
      ? []
      : [
          extension(
            '2.5.29.24',
            false,
            primitive(TAG.generalizedTime, encodeTimeContent(invalidityAt, true)),
          ),
        ]),
  ];
  const rest = extensions.length === 0 ? [] : [sequence(...extensions)];
  return sequence(primitive(TAG.integer, Buffer.from(serial, 'hex')), time(revokedAt), ...rest);
}

test.each([0, 1, 2, 5, 300, 40_000])(
  'a list of %i entries is what parts put together make, to the octet',
  (count) => {
    const rows = makeRows(count);
    const entries = createCrlEntries(count);
    for (const row of rows) entries.add(...row);
    const list = encodeCrl({ ...FIELDS, entries });
    const plain = encodeTbsCertList({ ...FIELDS, entries: rows.map(entryOf) });
    expect(list.tbs.equals(plain)).toBe(true);
    const signature = Buffer.alloc(71, 9);
    const whole = list.assemble(signature);
    expect(whole.equals(assembleSigned(plain, FIELDS.signatureAlgorithm, signature))).toBe(true);
    expect(entries.size).toBe(0);
  },
);

test('a list takes no more entries than it has room for', () => {
  const entries = createCrlEntries(2);
  const [row] = makeRows(1);
  if (!row) throw new Error('one row was asked for');
  entries.add(...row);
  entries.add(...row);
  expect(() => entries.add(...row)).toThrow('more than the 2 entries');
});
