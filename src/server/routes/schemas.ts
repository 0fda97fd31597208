import Type from 'typebox';

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
