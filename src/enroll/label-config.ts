import Type, { type Static } from 'typebox';

/** What can vouch for a device at a door. */
export const VOUCHERS = ['ticket', 'idevid', 'ldevid', 'manufacturer'] as const;
export type Voucher = (typeof VOUCHERS)[number];

/** The label that stands for no label. */
export const DEFAULT_LABEL = 'default';

/** A label as it is written in the configuration. */
export const LabelConfigSchema = Type.Object(
  {
    profile: Type.String({ description: 'The profile of what is issued under this label.' }),
    admit: Type.Array(Type.Enum([...VOUCHERS]), {
      minItems: 1,
      description:
        'What may vouch for a device: a ticket, an IDevID of ours (idevid), its current LDevID (ldevid), the IDevID of a ' +
        'manufacturer that was trusted (birthmark trust add).',
    }),
    namespaces: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: ['*'],
      description: 'Whose devices: "own", namespaces of manufacturers, or "*" for all.',
    }),
    serialPattern: Type.String({
      minLength: 1,
      default: '*',
      description: 'Serial numbers that may enroll: * stands for any run of characters, ? for one.',
    }),
    channelBinding: Type.Enum(['optional', 'required'], {
      default: 'optional',
      description:
        'Whether a CSR must be bound to its TLS connection (RFC 7030 §3.5). One that is bound is checked always.',
    }),
    approval: Type.Boolean({
      default: false,
      description:
        'Whether an operator must approve each first enrollment (birthmark enrollment approve); until then devices are told to wait.',
    }),
    renewalGraceDays: Type.Integer({
      minimum: 0,
      maximum: 3650,
      default: 0,
      description: 'For so long after its end an LDevID may still renew itself.',
    }),
    idevidMayReenroll: Type.Boolean({
      default: false,
      description:
        "Whether simplereenroll with an IDevID is taken as simpleenroll: strongSwan's pki --est asks so. Otherwise it is refused.",
    }),
    serverKeygen: Type.Boolean({
      default: false,
      description:
        'Whether the server makes keys for devices that cannot (RFC 7030 §4.4). Never for IDevIDs.',
    }),
  },
  { additionalProperties: false },
);

export type LabelConfig = Static<typeof LabelConfigSchema>;

/** What a home has without a word about labels. */
export const DEFAULT_LABELS: Readonly<Record<string, LabelConfig>> = {
  [DEFAULT_LABEL]: {
    profile: 'ldevid',
    admit: [...VOUCHERS],
    namespaces: ['*'],
    serialPattern: '*',
    channelBinding: 'optional',
    approval: false,
    renewalGraceDays: 0,
    idevidMayReenroll: false,
    serverKeygen: false,
  },
};
