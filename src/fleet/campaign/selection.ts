import Type, { type Static } from 'typebox';

/** Public keys as selections name them; `KeyAlgorithm` of the key policy. */
const ALGORITHMS = ['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa'] as const;

/** What hygiene can find, see `fleet/hygiene/`. */
export const FINDING_KINDS = [
  'weak-key',
  'shared-prime',
  'duplicate-key',
  'blocked-key',
  'near-cryptoperiod',
  'never-rotated',
  'silent',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

const Word = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, description }));
const Moment = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));

/**
 * Which credentials a campaign replaces: those of devices that fit all that is said. Without a word on profiles only LDevIDs are
 * meant, since nobody can make a new IDevID in the field. Times in milliseconds since the epoch.
 */
export const SelectionSchema = Type.Object(
  {
    key: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the SPKI.' })),
    issuer: Word('Name of the authority that issued it.'),
    profile: Word('Name of the profile.'),
    batch: Word("The device's batch."),
    model: Word("The device's model."),
    namespace: Word("The device's namespace."),
    device: Word("Beginning of the device's serial number."),
    issuedFrom: Moment('Issued at this time or later.'),
    issuedBefore: Moment('Issued before this time.'),
    lineage: Type.Optional(
      Type.String({
        pattern: '^(?:[0-9a-f]{2}){1,20}$',
        description: 'A certificate, and all that it vouched for.',
      }),
    ),
    notSeenSince: Moment('Not seen in use since, or never.'),
    keyAlgorithms: Type.Optional(Type.Array(Type.Enum([...ALGORITHMS]), { minItems: 1, uniqueItems: true })),
    finding: Type.Optional(
      Type.Enum([...FINDING_KINDS], { description: 'Found by birthmark hygiene scan.' }),
    ),
    idevids: Type.Optional(Type.Boolean({ description: 'IDevIDs too.' })),
  },
  { additionalProperties: false },
);
export type Selection = Readonly<Static<typeof SelectionSchema>>;

/** For people and for the audit record: `batch=B-7 issuedBefore=2026-…`. */
export function describeSelection(selection: Selection): string {
  return Object.entries(selection)
    .map(([name, value]) => {
      const isTime = typeof value === 'number' && /(?:From|Before|Since)$/.test(name);
      return `${name}=${isTime ? new Date(value).toISOString() : String(value)}`;
    })
    .join(' ');
}
