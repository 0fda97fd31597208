import { isIPv6 } from 'node:net';
import { createBoundedMap } from '../core/bounded-map.ts';
import type { Clock } from '../core/clock.ts';

/** Whether a source may have one more now; counts it where it may. */
export type SourceLimit = (address: string | undefined) => boolean;

/** Sources that are remembered; one that is forgotten begins anew. */
const MOST_SOURCES = 20_000;
const SECOND_MS = 1000;

interface Bucket {
  left: number;
  filledAt: number;
}

/**
 * Lets each source have `perSecond` on average and twice as many at once. A source is an IPv4 address or, since a host has as
 * many as it likes there, an IPv6 /64. This machine itself has no limit: what comes from loopback is a proxy that has one, or
 * somebody who can do worse.
 *
 * @param perSecond 0 for no limit
 */
export function createSourceLimit(perSecond: number, clock: Clock): SourceLimit {
  const buckets = createBoundedMap<Bucket>(MOST_SOURCES);
  const most = 2 * perSecond;
  return (address) => {
    if (perSecond === 0) return true;
    const source = sourceOf(address ?? '');
    if (source === undefined) return true;
    const now = clock();
    const before = buckets.get(source);
    // A clock that was put back takes nothing away and gives nothing.
    const passed = before ? Math.max(0, now - before.filledAt) : 0;
    const bucket = before ?? { left: most, filledAt: now };
    bucket.left = Math.min(most, bucket.left + (passed * perSecond) / SECOND_MS);
    bucket.filledAt = now;
    if (!before) buckets.put(source, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  };
}

/** Undefined for loopback. */
function sourceOf(address: string): string | undefined {
  const mapped = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  if (mapped === '::1' || mapped.startsWith('127.')) return undefined;
  return isIPv6(mapped) ? first64(mapped) : mapped;
}

/** The first four groups of an IPv6 address, which may have left out zeros. */
function first64(address: string): string {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...after].slice(0, 4).join(':');
}
