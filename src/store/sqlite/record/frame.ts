import { createHash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { REVOCATION_REASONS } from '../../../ca/revocation/ports.ts';
import { BirthmarkError } from '../../../core/errors.ts';
import { schemaParser } from '../../../core/schema.ts';
import { DEVICE_STATES, QUARANTINE_CAUSES } from '../../../fleet/ports.ts';
import { decodeMember, encodeMember, MOST_BYTES } from './gzip-member.ts';

const closed = { additionalProperties: false } as const;
const Hex = Type.String({ pattern: '^(?:[0-9a-f]{2})+$' });
const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$' });
const Whole = Type.Integer({ minimum: 0 });
/** A time may lie before 1970. */
const Time = Type.Integer();

const named = { namespace: Type.String(), serialNumber: Type.String() } as const;

/** A device as it is when a certificate is reserved for it. */
const DeviceSchema = Type.Object(
  {
    namespace: Type.String(),
    serialNumber: Type.String(),
    model: Type.Optional(Type.String()),
    batch: Type.Optional(Type.String()),
    hwType: Type.Optional(Type.String()),
    hwSerialNum: Type.Optional(Hex),
    state: Type.Enum([...DEVICE_STATES]),
    createdAt: Time,
    rebirthAllowed: Type.Boolean(),
  },
  closed,
);

const ActSchema = Type.Union([
  Type.Object(
    {
      act: Type.Literal('begin'),
      /** `new`: with its ledger. `late`: the ledger was there before. `anew`: the record before it was lost. */
      reason: Type.Enum(['new', 'late', 'anew']),
      epoch: Hex,
      certificates: Whole,
      revocations: Whole,
      lastStatusChange: Whole,
    },
    closed,
  ),
  Type.Object(
    {
      act: Type.Literal('reserve'),
      serial: Hex,
      authority: Type.String(),
      profile: Type.String(),
      keyHash: Hex,
      notBefore: Time,
      notAfter: Time,
      shard: Whole,
      vouchedBy: Type.String(),
      holder: Type.String(),
      reservedAt: Time,
      device: Type.Optional(DeviceSchema),
      tbs: Base64,
    },
    closed,
  ),
  /** Of holders that are no device; a device's key comes with its certificate. */
  Type.Object(
    {
      act: Type.Literal('claimKey'),
      keyHash: Hex,
      holder: Type.Optional(Type.String()),
      blocked: Type.Optional(Type.String()),
    },
    closed,
  ),
  Type.Object({ act: Type.Literal('blockKey'), keyHash: Hex, reason: Type.String(), at: Time }, closed),
  Type.Object(
    {
      act: Type.Literal('revoke'),
      sequence: Whole,
      serial: Hex,
      reason: Type.Optional(Type.Enum([...REVOCATION_REASONS])),
      held: Type.Boolean(),
      revokedAt: Time,
      invalidityAt: Type.Optional(Time),
      discoveredAt: Time,
      decidedAt: Time,
      recordedAt: Time,
      publishedAt: Type.Optional(Time),
      enforcedAt: Type.Optional(Time),
      by: Type.String(),
    },
    closed,
  ),
  Type.Object({ act: Type.Literal('release'), sequence: Whole, serial: Hex, at: Time }, closed),
  Type.Object(
    { act: Type.Literal('crlNumber'), authority: Type.String(), scope: Type.String(), number: Whole },
    closed,
  ),
  /** Its key is not in here: it is in the home's keys, and in backups made since. */
  Type.Object(
    {
      act: Type.Literal('addAuthority'),
      name: Type.String(),
      family: Type.String(),
      generation: Type.Integer({ minimum: 1 }),
      state: Type.Enum(['prepared', 'current', 'former', 'retired']),
      issuer: Type.String(),
      createdAt: Time,
      certificate: Base64,
    },
    closed,
  ),
  Type.Object(
    {
      act: Type.Literal('crossCertify'),
      subject: Type.String(),
      issuer: Type.String(),
      certificate: Base64,
    },
    closed,
  ),
  Type.Object(
    {
      act: Type.Literal('moveAuthority'),
      name: Type.String(),
      state: Type.Enum(['current', 'former', 'retired']),
      at: Time,
    },
    closed,
  ),
  Type.Object({ act: Type.Literal('revokeToken'), name: Type.String(), at: Time }, closed),
  Type.Object({ act: Type.Literal('countToken'), id: Type.String(), certificates: Type.Integer() }, closed),
  Type.Object({ act: Type.Literal('bindTicket'), id: Type.String(), keyHash: Hex }, closed),
  Type.Object({ act: Type.Literal('removeTrustedCa'), fingerprint: Hex }, closed),
  /** Which certificate is to take the place of which. What becomes of it follows from their revocations. */
  Type.Object({ act: Type.Literal('rotate'), old: Hex, new: Hex, at: Time }, closed),
  Type.Object(
    {
      act: Type.Literal('quarantine'),
      ...named,
      cause: Type.Enum([...QUARANTINE_CAUSES]),
      since: Time,
      by: Type.String(),
      held: Type.Array(Hex),
    },
    closed,
  ),
  Type.Object({ act: Type.Literal('endQuarantine'), ...named, state: Type.Enum([...DEVICE_STATES]) }, closed),
  Type.Object({ act: Type.Literal('retireDevice'), ...named }, closed),
  Type.Object({ act: Type.Literal('killTickets'), ...named, upTo: Time }, closed),
]);

/** What a ledger must not forget, whatever becomes of it. Octets are hexadecimal, those of `tbs` base64. */
export type RecordAct = Static<typeof ActSchema>;
export type RecordedDevice = Static<typeof DeviceSchema>;

const FrameSchema = Type.Object(
  {
    /** From 1 on, without gaps. */
    sequence: Type.Integer({ minimum: 1 }),
    /** SHA-256 of the octets of the member before, zeros in the first one. */
    previous: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    at: Time,
    acts: Type.Array(ActSchema, { minItems: 1 }),
  },
  closed,
);

/** All that one transaction of the ledger did. */
export type Frame = Static<typeof FrameSchema>;

/** What a frame follows. */
export interface Before {
  readonly sequence: number;
  /** SHA-256 of the frame's member. */
  readonly hash: Uint8Array;
}

export const NOTHING_BEFORE: Before = { sequence: 0, hash: Buffer.alloc(32) };

let parser: ReturnType<typeof schemaParser<typeof FrameSchema>> | undefined;

/**
 * Packs a frame as a gzip member of one JSON line.
 *
 * @throws BirthmarkError `act-too-large` for more than a reader takes
 */
export function encodeFrame(acts: readonly RecordAct[], before: Before, at: number): Buffer {
  const previous = Buffer.from(before.hash).toString('hex');
  const member = encodeMember(`${JSON.stringify({ sequence: before.sequence + 1, previous, at, acts })}\n`);
  if (member) return member;
  throw new BirthmarkError(
    'act-too-large',
    `what was to be done at once takes more than ${MOST_BYTES / 1024 / 1024} MiB of the record; nothing was done, do it in smaller parts`,
  );
}

/**
 * Unpacks a member and holds it to what it must follow.
 *
 * @returns the frame, or what is wrong with it
 */
export function decodeFrame(member: Buffer, before: Before): Frame | string {
  const text = decodeMember(member);
  if (text === undefined) return 'is damaged';
  // Compiled when it is needed first, which most starts do not.
  parser ??= schemaParser(FrameSchema, 'record-broken');
  let frame: Frame;
  try {
    frame = parser(JSON.parse(text), 'frame');
  } catch (error) {
    return error instanceof BirthmarkError ? `is no frame of ours (${error.message})` : 'is no JSON';
  }
  if (frame.sequence !== before.sequence + 1)
    return `has the number ${frame.sequence} where ${before.sequence + 1} is due`;
  if (frame.previous !== Buffer.from(before.hash).toString('hex')) return 'does not follow the one before it';
  return frame;
}

export function hashMember(member: Uint8Array): Buffer {
  return createHash('sha256').update(member).digest();
}
