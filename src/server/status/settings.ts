import Type, { type Static } from 'typebox';

/** What gates hear, as the configuration writes it. */
export const StatusConfigSchema = Type.Object(
  {
    snapshotValidMinutes: Type.Integer({
      minimum: 5,
      maximum: 10_080,
      description:
        'How long a signed snapshot of all statuses may be started from. It bounds how old a state somebody can be made to believe who ' +
        'cannot reach the feed; never longer than the certificate of its signer.',
    }),
  },
  { additionalProperties: false },
);
export type StatusConfig = Static<typeof StatusConfigSchema>;

export const DEFAULT_STATUS: StatusConfig = { snapshotValidMinutes: 1440 };
