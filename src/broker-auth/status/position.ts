import { BirthmarkError } from '../../core/errors.ts';

/** How far somebody has heard: all changes of an epoch up to that sequence number. */
export interface Position {
  /** Another one has begun where the ledger was put back to an earlier day: its numbers mean other changes. */
  readonly epoch: string;
  readonly sequence: number;
}

/** `EPOCH.N`, the id of an event. */
export function positionToText({ epoch, sequence }: Position): string {
  return `${epoch}.${sequence}`;
}

const FORM = /^([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,14})$/;

/**
 * Reads `EPOCH.N`.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parsePosition(text: string, field: string): Position {
  const [, epoch, sequence] = FORM.exec(text) ?? [];
  if (epoch !== undefined && sequence !== undefined) return { epoch, sequence: Number(sequence) };
  throw new BirthmarkError('bad-request', `${field} must be EPOCH.N, as the id of an event says it`, {
    field,
  });
}
