import Type, { type Static } from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';

/** `[rotation]` as it is written. */
export const RotationConfigSchema = Type.Object(
  {
    graceMinutes: Type.Integer({
      minimum: 0,
      maximum: 525_600,
      default: 60,
      description: 'For so long after the new certificate was seen in use the one before stays good.',
    }),
    toleranceSeconds: Type.Integer({
      minimum: 0,
      maximum: 86_400,
      default: 300,
      description:
        'Clocks of gates differ: a certificate that is used so much later than its successor, or less, is no conflict.',
    }),
    onConflict: Type.Enum(['hold', 'report'], {
      default: 'hold',
      description:
        'When two hold one identity: hold shuts the device out until it comes back with its IDevID and a new key, report tells people only.',
    }),
    maxUnseen: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 4,
      description:
        'Certificates of a device that nobody has seen in use, beside the one that is: beyond that the oldest of them is taken back.',
    }),
    windowStartPercent: Type.Integer({
      minimum: 1,
      maximum: 98,
      default: 60,
      description: 'Of the validity: from then on a device is told to renew.',
    }),
    windowEndPercent: Type.Integer({
      minimum: 2,
      maximum: 99,
      default: 80,
      description:
        'Of the validity: by then each device has been told. Devices are spread over the time between.',
    }),
    retryAfterMinutes: Type.Integer({
      minimum: 1,
      maximum: 10_080,
      default: 360,
      description: 'How often a device looks whether its window has moved (Retry-After of renewal-info).',
    }),
  },
  { additionalProperties: false },
);
export type RotationConfig = Static<typeof RotationConfigSchema>;

export const DEFAULT_ROTATION: RotationConfig = {
  graceMinutes: 60,
  toleranceSeconds: 300,
  onConflict: 'hold',
  maxUnseen: 4,
  windowStartPercent: 60,
  windowEndPercent: 80,
  retryAfterMinutes: 360,
};

/** What was validated. */
export interface RotationPolicy {
  readonly graceMs: number;
  readonly toleranceMs: number;
  readonly onConflict: 'hold' | 'report';
  readonly maxUnseen: number;
  /** Shares of a validity. */
  readonly window: { readonly start: number; readonly end: number };
  readonly retryAfterMs: number;
}

/** @throws BirthmarkError `config-invalid` */
export function parseRotation(config: RotationConfig): RotationPolicy {
  const { graceMinutes, toleranceSeconds, onConflict, maxUnseen } = config;
  const { windowStartPercent, windowEndPercent, retryAfterMinutes } = config;
  if (windowEndPercent <= windowStartPercent)
    throw new BirthmarkError(
      'config-invalid',
      'rotation.windowEndPercent must be more than rotation.windowStartPercent',
      { field: 'rotation.windowEndPercent' },
    );
  return {
    graceMs: graceMinutes * 60_000,
    toleranceMs: toleranceSeconds * 1000,
    onConflict,
    maxUnseen,
    window: { start: windowStartPercent / 100, end: windowEndPercent / 100 },
    retryAfterMs: retryAfterMinutes * 60_000,
  };
}
