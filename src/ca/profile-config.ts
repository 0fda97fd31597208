import Type, { type Static } from 'typebox';
import type { KeyAlgorithm } from './key-policy/check-public-key.ts';
import { PROFILE_KINDS } from './profile.ts';

const KEY_ALGORITHM_NAMES = [
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'ed25519',
  'rsa',
] as const satisfies readonly KeyAlgorithm[];
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
] as const;

/** A profile as the configuration writes it; `parseProfile` checks what a schema cannot say. */
export const ProfileConfigSchema = Type.Object(
  {
    kind: Type.Enum([...PROFILE_KINDS], {
      description:
        'idevid: the identity a device is born with. ldevid: the one its owner gives it. server, operator: ours.',
    }),
    authority: Type.String({ description: 'The authority that issues it: idevid, ldevid or service.' }),
    organization: Type.String({ description: 'O of the subject.', minLength: 1, maxLength: 64 }),
    organizationalUnit: Type.Optional(
      Type.String({ description: 'OU of the subject.', minLength: 1, maxLength: 64 }),
    ),
    commonName: Type.Enum(['none', 'model', 'holder'], {
      description:
        "CN of the subject: none, the device's model where it is known, or the holder's name. Never what a CSR says.",
    }),
    validityDays: Type.Union([Type.Integer({ minimum: 1, maximum: 36_500 }), Type.Literal('forever')], {
      description: 'Days, or "forever": 99991231235959Z, as an IDevID should have it (RFC 5280 §4.1.2.5).',
    }),
    subjectKeyIdentifier: Type.Boolean({
      description: 'Carry the subjectKeyIdentifier (IEEE 802.1AR advises against it in an IDevID).',
    }),
    keyUsage: Type.Array(Type.Enum([...KEY_USAGES]), {
      description: 'Bits of the critical keyUsage.',
      minItems: 1,
      uniqueItems: true,
    }),
    extendedKeyUsage: Type.Array(Type.Enum(['clientAuth', 'serverAuth']), {
      description: 'Purposes: clientAuth, serverAuth. An IDevID has none.',
      uniqueItems: true,
    }),
    policies: Type.Array(Type.String(), {
      description: 'Certificate policies, object identifiers.',
      uniqueItems: true,
      maxItems: 8,
    }),
    authorityInfoAccess: Type.Boolean({
      description: "Name where the issuer's certificate and the OCSP responder are.",
    }),
    crlDistributionPoint: Type.Boolean({
      description: 'Name the CRL shard that will list this certificate.',
    }),
    hwType: Type.Optional(
      Type.String({
        description:
          "hwType for devices whose line names none; hwSerialNum is then the serial number's octets.",
      }),
    ),
    hardwareModuleName: Type.Boolean({
      description: 'Carry the hardwareModuleName (RFC 4108 §5) where the hardware is known.',
    }),
    allowedKeys: Type.Array(Type.Enum([...KEY_ALGORITHM_NAMES]), {
      description: 'Keys that may be certified: ec-p256, ec-p384, ec-p521, ed25519, rsa.',
      minItems: 1,
      uniqueItems: true,
    }),
    sameAlgorithmChain: Type.Boolean({
      description: "Refuse a key that is not of the authority's algorithm.",
    }),
    newKey: Type.Boolean({ description: 'Refuse a key that another certificate of the same device has.' }),
  },
  { additionalProperties: false },
);

export type ProfileConfig = Static<typeof ProfileConfigSchema>;

const ALL_KEYS: ProfileConfig['allowedKeys'] = ['ec-p256', 'ec-p384', 'ed25519', 'rsa'];

/** The profiles that `init` writes. */
export function defaultProfiles(organization: string): Record<string, ProfileConfig> {
  const common = {
    organization,
    keyUsage: ['digitalSignature'],
    policies: [],
    authorityInfoAccess: true,
    crlDistributionPoint: true,
    allowedKeys: [...ALL_KEYS],
    sameAlgorithmChain: false,
  } satisfies Partial<ProfileConfig>;
  return {
    idevid: {
      kind: 'idevid',
      authority: 'idevid',
      ...common,
      commonName: 'none',
      validityDays: 'forever',
      subjectKeyIdentifier: false,
      extendedKeyUsage: [],
      hardwareModuleName: true,
      newKey: false,
    },
    ldevid: {
      kind: 'ldevid',
      authority: 'ldevid',
      ...common,
      commonName: 'none',
      validityDays: 90,
      subjectKeyIdentifier: true,
      extendedKeyUsage: ['clientAuth'],
      hardwareModuleName: false,
      newKey: true,
    },
    server: {
      kind: 'server',
      authority: 'service',
      ...common,
      commonName: 'none',
      validityDays: 90,
      subjectKeyIdentifier: true,
      extendedKeyUsage: ['serverAuth'],
      hardwareModuleName: false,
      newKey: false,
    },
    operator: {
      kind: 'operator',
      authority: 'service',
      ...common,
      commonName: 'holder',
      validityDays: 365,
      subjectKeyIdentifier: true,
      extendedKeyUsage: ['clientAuth'],
      hardwareModuleName: false,
      newKey: false,
    },
  };
}
