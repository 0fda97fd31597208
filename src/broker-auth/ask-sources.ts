import type { StatusGap } from '../x509/path/verdict.ts';
import type { CredentialId } from './credential.ts';
import type { ListenerPolicy } from './policy.ts';
import type { KnownStatus, StatusSource } from './status-source.ts';

/** Where a status came from, and how old it is. */
export interface StatusFinding {
  /** `noRevAvail`: its issuer takes nothing back (RFC 9608), and the listener lets that pass. */
  readonly source: StatusSource['name'] | 'noRevAvail' | 'none';
  readonly ageMs?: number;
  /** It is not known: what is denied by `hard`, and by `soft` allowed, counted and logged. */
  readonly gap?: StatusGap;
  /** Why it is not known, for people. */
  readonly why?: string;
}

/** One of a path was taken back. */
export interface FoundBad {
  readonly reason: 'revoked' | 'onHold';
  /** For people. */
  readonly detail: string;
  readonly status: StatusFinding;
}

/** How old a status may be. */
export type Freshness = Pick<ListenerPolicy, 'maxStatusAgeMs' | 'maxListAgeMs' | 'listGraceMs'>;

interface Told {
  readonly source: StatusSource['name'];
  readonly known: KnownStatus;
}

/**
 * Asks for the status of each certificate of a path. All of them, so that one that is unknown does not hide another one that
 * was taken back.
 *
 * @param path the leaf first
 * @param withoutLeaf nothing need be known of the leaf (RFC 9608 §4); that it was taken back counts all the same
 */
export function askSources(
  path: readonly CredentialId[],
  sources: readonly StatusSource[],
  rules: Freshness,
  withoutLeaf = false,
): StatusFinding | FoundBad {
  let oldest: Told | undefined;
  let stale: Told | undefined;
  let unknown: CredentialId | undefined;
  let at = -1;
  for (const id of path) {
    at += 1;
    const told = ask(id, sources, rules);
    if (told && told.known.status !== 'good') return takenBack(told, id.serial);
    if (told && isFresh(told.known, rules)) {
      if (!oldest || told.known.ageMs > oldest.known.ageMs) oldest = told;
    } else if (at === 0 && withoutLeaf) continue;
    else if (!told) unknown ??= id;
    else if (!stale || told.known.ageMs > stale.known.ageMs) stale = told;
  }
  if (unknown) return gapOf(unknown, sources);
  if (stale) return { ...findingOf(stale), gap: 'stale' };
  if (oldest) return findingOf(oldest);
  return withoutLeaf ? { source: 'noRevAvail' } : { source: 'none', gap: 'unknown' };
}

/**
 * Whoever looked last is believed, and before all others who says revoked, which is never taken back. Where that was too long
 * ago, one who looked before him and whose word is good yet, unless he had more to say.
 */
function ask(id: CredentialId, sources: readonly StatusSource[], rules: Freshness): Told | undefined {
  let newest: Told | undefined;
  let fresh: Told | undefined;
  for (const source of sources) {
    const known = source.statusOf(id);
    if (!known) continue;
    const told = { source: source.name, known };
    // Nearly always there is one source.
    if (known.status === 'revoked' || sources.length === 1) return told;
    if (!newest || known.ageMs < newest.known.ageMs) newest = told;
    if (isFresh(known, rules) && (!fresh || known.ageMs < fresh.known.ageMs)) fresh = told;
  }
  return newest?.known.status === 'held' ? newest : (fresh ?? newest);
}

/** Lists and answers say themselves until when they hold; of the feed the listener says how old it may be. */
function isFresh({ ageMs, leftMs }: KnownStatus, rules: Freshness): boolean {
  if (leftMs === undefined) return ageMs <= rules.maxStatusAgeMs;
  return leftMs + rules.listGraceMs >= 0 && ageMs <= (rules.maxListAgeMs ?? Number.POSITIVE_INFINITY);
}

function gapOf(id: CredentialId, sources: readonly StatusSource[]): StatusFinding {
  for (const source of sources) {
    const told = source.gapOf?.(id);
    if (told) return { source: source.name, ...told };
  }
  return { source: 'none', gap: 'unknown' };
}

function findingOf({ source, known: { ageMs } }: Told): StatusFinding {
  return Number.isFinite(ageMs) ? { source, ageMs } : { source };
}

function takenBack(told: Told, serial: string): FoundBad {
  const { status, reason, since } = told.known;
  const finding = findingOf(told);
  const said = reason === undefined ? '' : ` (${reason})`;
  const when = since === undefined ? '' : ` since ${new Date(since).toISOString()}`;
  return status === 'held'
    ? { reason: 'onHold', detail: `certificate ${serial} is held${when}`, status: finding }
    : { reason: 'revoked', detail: `certificate ${serial} is revoked${said}${when}`, status: finding };
}
