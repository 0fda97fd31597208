import Type, { type Static } from 'typebox';

/** What follows from a proof of key compromise, as the configuration writes it. */
export const KeyCompromiseConfigSchema = Type.Object(
  {
    revokeAtOnce: Type.Boolean({
      description:
        "Whether a proof revokes the certificates of a device's key at once. If not, it is an incident, and people decide. Proofs for keys " +
        'of authorities, responders, servers and operators are always incidents.',
    }),
  },
  { additionalProperties: false },
);
export type KeyCompromiseConfig = Static<typeof KeyCompromiseConfigSchema>;

export const DEFAULT_KEY_COMPROMISE: KeyCompromiseConfig = { revokeAtOnce: true };
