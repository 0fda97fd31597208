import Type from 'typebox';
import { BirthmarkError } from '../../core/errors.ts';

/** Query of every list: ask again with the cursor of the answer until there is none. */
export const PageQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 200, description: 'From the answer before.' })),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
};

/** An answer with a page of items. */
export function pageOf<const S extends Type.TSchema>(item: S) {
  return Type.Object({ items: Type.Array(item), cursor: Type.Optional(Type.String()) });
}

/** Milliseconds since the epoch as RFC 3339 text. */
export function toDateTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** Milliseconds since the epoch of RFC 3339 text. @throws BirthmarkError `bad-request` */
export function parseMoment(text: string, field: string): number {
  const at = Date.parse(text);
  // Of this millennium: what a GeneralizedTime and people both mean.
  if (at > 0) return at;
  throw new BirthmarkError('bad-request', `${field} must be a time as RFC 3339 writes it, after 1970`, {
    field,
  });
}
