import Type, { type Static } from 'typebox';

/** What the EST door is told in the configuration. */
export const EstConfigSchema = Type.Object(
  {
    realm: Type.String({
      minLength: 1,
      maxLength: 64,
      pattern: '^[ -~]+$',
      default: 'birthmark',
      description: 'Told to clients that are asked for a name and a ticket (HTTP Basic).',
    }),
    wrapBase64: Type.Boolean({
      default: false,
      description: 'Answers in lines of 64 columns, which libest wants and strongSwan cannot read.',
    }),
    acceptPem: Type.Boolean({
      default: false,
      description: 'Takes requests in PEM armour too, which RFC 8951 does not allow.',
    }),
    retryAfterSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 30,
      description: 'When a device is to ask again that waits for approval.',
    }),
  },
  { additionalProperties: false },
);

export type EstSettings = Static<typeof EstConfigSchema>;

export const DEFAULT_EST: EstSettings = {
  realm: 'birthmark',
  wrapBase64: false,
  acceptPem: false,
  retryAfterSeconds: 30,
};
