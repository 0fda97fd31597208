import Type, { type Static } from 'typebox';

/** `[hygiene]` of the configuration. */
export const HygieneConfigSchema = Type.Object(
  {
    cryptoperiodDays: Type.Integer({
      minimum: 1,
      maximum: 36_500,
      default: 730,
      description:
        'How long one LDevID key may be used, over all its certificates; NIST SP 800-57 Part 1 §5.3.6 says one to two years.',
    }),
    rotateDays: Type.Integer({
      minimum: 1,
      maximum: 36_500,
      default: 365,
      description: 'A device that had one LDevID key for so long, and no other, never rotated.',
    }),
    silentDays: Type.Integer({
      minimum: 1,
      maximum: 36_500,
      default: 90,
      description: 'A device that nobody saw for so long is silent.',
    }),
  },
  { additionalProperties: false },
);
export type HygieneLimits = Readonly<Static<typeof HygieneConfigSchema>>;

export const DEFAULT_HYGIENE: HygieneLimits = { cryptoperiodDays: 730, rotateDays: 365, silentDays: 90 };
