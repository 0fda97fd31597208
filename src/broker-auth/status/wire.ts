import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';

// What the status feed and the snapshot say, for the one who writes them and the one who reads them. docs/status-feed.md

const closed = { additionalProperties: false } as const;
/** Readers skip members that they do not know: more may be told later. */
const open = {} as const;

const KeyId = Type.String({
  pattern: '^(?:[0-9a-f]{2}){1,64}$',
  description:
    "The issuer's key identifier, hexadecimal: keyIdentifier of the certificate's authorityKeyIdentifier.",
});
const KeyHash = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the SubjectPublicKeyInfo, hexadecimal.',
});
const Serial = Type.String({
  pattern: '^(?:[0-9a-f]{2}){1,21}$',
  description: 'The octets of the serial number, hexadecimal.',
});
const Epoch = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' });
const Sequence = Type.Integer({ minimum: 0, maximum: 999_999_999_999_999 });
const Time = (description: string) => Type.String({ format: 'date-time', description });
const Reason = Type.Optional(
  Type.String({ maxLength: 32, description: 'Of RFC 5280 §5.3.1; left out: unspecified, or held.' }),
);
const Holder = Type.Optional(
  Type.Object(
    {
      namespace: Type.String({ maxLength: 64 }),
      serialNumber: Type.String({ maxLength: 256 }),
      others: Type.Boolean({
        description:
          'Whether it had another certificate of that authority then which was good: for brokers that show a name only.',
      }),
    },
    { ...open, description: 'The device that the certificate was for.' },
  ),
);
const dates = {
  revokedAt: Type.Optional(Time('From when on it is bad: the day of the hold where a hold became final.')),
  invalidityAt: Type.Optional(Time('Since when the key may have been in other hands.')),
  notAfter: Type.Optional(Time("The certificate's end.")),
};

/** Data of an event `status`: what a certificate's status is from then on. */
export const ChangeSchema = Type.Object(
  {
    sequence: Sequence,
    authority: Type.String({ maxLength: 64, description: 'Which authority issued the certificate.' }),
    issuerKeyId: KeyId,
    serial: Serial,
    keyHash: KeyHash,
    status: Type.Enum(['revoked', 'held', 'good']),
    reason: Reason,
    holder: Holder,
    at: Time('When the ledger took it down.'),
    ...dates,
  },
  open,
);
export type Change = Static<typeof ChangeSchema>;

/** Data of an event `position`: nothing else had changed at that time. */
const PositionSchema = Type.Object({ epoch: Epoch, sequence: Sequence, at: Time('') }, open);
/** Data of an event `reset`: what the reader knows is of no use any more. */
const ResetSchema = Type.Object({ epoch: Epoch, sequence: Sequence, why: Type.String() }, open);

const HeaderSchema = Type.Object(
  {
    format: Type.Literal('birthmark-status-snapshot'),
    version: Type.Literal(1),
    epoch: Epoch,
    sequence: Sequence,
    issuedAt: Time(''),
    validUntil: Time(''),
    endedBefore: Time('Certificates that ended before are left out.'),
    authorities: Type.Array(
      Type.Object({ name: Type.String({ maxLength: 64 }), issuerKeyId: KeyId, keyHash: KeyHash }, open),
      { maxItems: 1000 },
    ),
    intermediates: Type.Optional(
      Type.Array(Type.String({ maxLength: 32_768 }), {
        maxItems: 1000,
        description:
          'CA certificates below roots, DER in base64: for paths of clients that do not send them. Known and not believed.',
      }),
    ),
  },
  open,
);
/** The first line of a snapshot. */
export type SnapshotHeader = Static<typeof HeaderSchema>;

const EntrySchema = Type.Object(
  {
    issuerKeyId: KeyId,
    serial: Serial,
    keyHash: KeyHash,
    status: Type.Enum(['revoked', 'held']),
    reason: Reason,
    holder: Holder,
    at: Time('When the ledger took it down.'),
    ...dates,
  },
  open,
);
const BlockedKeySchema = Type.Object({ blockedKey: KeyHash }, open);
/** A certificate that is not good, or a key that nobody may have any more. */
const LineSchema = Type.Union([EntrySchema, BlockedKeySchema]);
export type SnapshotLine = Static<typeof LineSchema>;

const SealSchema = Type.Object(
  {
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    algorithm: Type.String({ maxLength: 32 }),
    signature: Type.String({ maxLength: 4096 }),
    chain: Type.Array(Type.String({ maxLength: 32_768 }), { minItems: 1, maxItems: 8 }),
  },
  closed,
);
/** The last line of a snapshot. */
export type SnapshotSeal = Static<typeof SealSchema>;

export const parseChange = schemaParser(ChangeSchema, 'bad-request');
export const parsePositionData = schemaParser(PositionSchema, 'bad-request');
export const parseResetData = schemaParser(ResetSchema, 'bad-request');
export const parseHeader = schemaParser(HeaderSchema, 'bad-request');
export const parseLine = schemaParser(LineSchema, 'bad-request');
export const parseSeal = schemaParser(SealSchema, 'bad-request');

/** What is signed, instead of the octets themselves: a signature of the same key for another purpose never fits. */
export function sealedText(sha256: string): Buffer {
  return Buffer.from(`birthmark status snapshot\n${sha256}\n`, 'latin1');
}
