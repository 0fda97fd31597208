import type { StatusGap } from '../x509/path/verdict.ts';
import type { CredentialId } from './credential.ts';
import type { KnownStatus, StatusSource } from './status-source.ts';

/** Where a status came from, and how old it is. */
export interface StatusFinding {
  readonly source: StatusSource['name'] | 'crl' | 'none';
  readonly ageMs?: number;
  /** It is not known: what is denied by `hard`, and by `soft` allowed, counted and logged. */
  readonly gap?: StatusGap;
}

/** One of a path was taken back. */
export interface FoundBad {
  readonly reason: 'revoked' | 'onHold';
  /** For people. */
  readonly detail: string;
  readonly status: StatusFinding;
}

interface Told {
  readonly source: StatusSource['name'];
  readonly known: KnownStatus;
}

/**
 * Asks for the status of each certificate of a path. All of them, so that one that is unknown does not hide another one that
 * was taken back.
 *
 * @param maxAgeMs what is older is a gap
 */
export function askSources(
  path: readonly CredentialId[],
  sources: readonly StatusSource[],
  at: number,
  maxAgeMs: number,
): StatusFinding | FoundBad {
  let oldest: Told | undefined;
  let unknown = false;
  for (const id of path) {
    const told = ask(id, sources);
    if (!told) unknown = true;
    else if (told.known.status !== 'good') return takenBack(told, id.serial, at);
    else if (!oldest || told.known.asOf < oldest.known.asOf) oldest = told;
  }
  if (unknown || !oldest) return { source: 'none', gap: 'unknown' };
  const finding = findingOf(oldest, at);
  return finding.ageMs > maxAgeMs ? { ...finding, gap: 'stale' } : finding;
}

/** Whoever looked last is believed, and before all others who says revoked, which is never taken back. */
function ask(id: CredentialId, sources: readonly StatusSource[]): Told | undefined {
  let best: Told | undefined;
  for (const source of sources) {
    const known = source.statusOf(id);
    if (!known) continue;
    if (known.status === 'revoked') return { source: source.name, known };
    if (!best || known.asOf > best.known.asOf) best = { source: source.name, known };
  }
  return best;
}

function findingOf({ source, known }: Told, at: number) {
  return { source, ageMs: Math.max(0, at - known.asOf) };
}

function takenBack(told: Told, serial: string, at: number): FoundBad {
  const { status, reason, since } = told.known;
  const finding = findingOf(told, at);
  const said = reason === undefined ? '' : ` (${reason})`;
  const when = since === undefined ? '' : ` since ${new Date(since).toISOString()}`;
  return status === 'held'
    ? { reason: 'onHold', detail: `certificate ${serial} is held${when}`, status: finding }
    : { reason: 'revoked', detail: `certificate ${serial} is revoked${said}${when}`, status: finding };
}
