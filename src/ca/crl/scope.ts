import type { Authorities, Authority } from '../authority.ts';

/** Scope of the list of everything that an authority took back. */
export const FULL = 'full';
/** What changed since a full list that was published before. Numbered with the full lists (RFC 5280 §5.2.3). */
export const DELTA = 'delta';

/** A list, by what it is of. */
export interface CrlScope {
  readonly authority: string;
  /** `FULL`, `DELTA`, or a shard's number in decimal. */
  readonly scope: string;
}

/** A list to be published. */
export interface CrlOrder extends CrlScope {
  /** Of a full list, whether deltas may start from it; `only`: from none before it. The first one is always such. */
  readonly asBase?: 'also' | 'only';
}

export function keyOf({ authority, scope }: CrlScope): string {
  return `${authority}/${scope}`;
}

/** The list that a certificate's own distribution point names. */
export function scopeOfCertificate(
  { authority, shard }: { readonly authority: string; readonly shard: number },
  authorities: Authorities,
): CrlScope {
  return { authority, scope: authorities.get(authority)?.isRoot ? FULL : String(shard) };
}

/** All but the delta. A root lists CAs only: few enough for one list. */
export function scopesOf(authority: Authority, shards: number): string[] {
  return authority.isRoot ? [FULL] : [FULL, ...Array.from({ length: shards }, (_, shard) => String(shard))];
}

/** Whose number a list takes. */
export function numberedWith(scope: string): string {
  return scope === DELTA ? FULL : scope;
}
