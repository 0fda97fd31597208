import { equalBytes } from '../../core/bytes.ts';
import type { SteadyClock } from '../../core/steady-clock.ts';
import { nameKey } from '../../x509/compare-names.ts';
import type { CrlEntry } from '../../x509/crl-entry-reader.ts';
import { CRL_REASON, CRL_REASON_NAMES } from '../../x509/crl-reason.ts';
import { ALL_REASONS } from '../../x509/distribution-point.ts';
import { ISSUER_AS_POINT, reasonsInScope } from '../../x509/path/crl-scope.ts';
import { type CredentialId, certificateKeyOf, type StatusSubject } from '../credential.ts';
import { digestOfKey } from '../status/certificate-digest.ts';
import type { KnownStatus, StatusSource } from '../status-source.ts';
import type { HeldList, ListSlot, ListStore } from './list-store.ts';

const REMOVE_FROM_CRL = 8;

/** Which lists speak of a certificate, and of which reasons. */
interface Scope {
  readonly generation: number;
  readonly slots: readonly { readonly slot: ListSlot; readonly reasons: number }[];
}

/** A complete list with what a delta adds to it. */
interface Word {
  readonly entry: CrlEntry | undefined;
  /** By the steady clock. */
  readonly asOf: number;
  readonly until: number;
}

/**
 * What lists say, as a source of the gate's (RFC 5280 §6.3.3). That a certificate is good is said only where lists of its own scope
 * cover every reason for revocation; that it is on one of them is enough to say that it is not, however old that list is.
 */
export function listSource(store: ListStore, steady: SteadyClock): StatusSource {
  const scopes = new WeakMap<CredentialId, Scope>();

  /** Distribution points to the octet (RFC 5280 §5.2.5); looked up once for each certificate that is remembered. */
  function scopeOf(id: CredentialId, subject: StatusSubject, slots: readonly ListSlot[]): Scope['slots'] {
    const known = scopes.get(id);
    if (known?.generation === store.generation) return known.slots;
    const found = slots.flatMap((slot) => {
      const reasons = reasonsOf(slot, subject);
      return reasons === 0 ? [] : [{ slot, reasons }];
    });
    scopes.set(id, { generation: store.generation, slots: found });
    return found;
  }

  return {
    name: 'crl',
    statusOf(id) {
      const slots = store.slotsOf(id.issuerKeyId);
      if (!slots || slots.length === 0) return undefined;
      const digest = digestOfKey(certificateKeyOf(id));
      const now = steady.now();
      const { subject } = id;
      if (!subject) return onAny(slots, digest, now);
      let good: Word | undefined;
      let bad: (Word & { readonly entry: CrlEntry }) | undefined;
      let missing = ALL_REASONS;
      for (const { slot, reasons } of newestFirst(scopeOf(id, subject, slots))) {
        const word = wordOf(slot, digest, now);
        if (!word) continue;
        const { entry } = word;
        if (entry && entry.reason !== CRL_REASON.certificateHold) return told({ ...word, entry }, now);
        // A newer list of the same reasons knows better whether it is still held.
        if ((reasons & missing) === 0) continue;
        if (entry) bad ??= { ...word, entry };
        missing &= ~reasons;
        good = good ? oldestOf(good, word) : word;
      }
      if (bad) return told(bad, now);
      if (missing !== 0 || !good) return undefined;
      return { status: 'good', ageMs: Math.max(0, now - good.asOf), leftMs: good.until - now };
    },
    gapOf(id) {
      const slots = store.slotsOf(id.issuerKeyId);
      if (!slots) return undefined;
      const why =
        slots.length === 0
          ? 'no list of its CA is there yet'
          : 'of the lists of its CA none is for its distribution points and all reasons';
      return { gap: 'unknown', why };
    },
  };
}

/** The reasons of which a slot's lists speak for a certificate, over all of its distribution points. */
function reasonsOf({ issuer, base, delta }: ListSlot, { tbs, rules }: StatusSubject): number {
  const frame = (base ?? delta)?.frame;
  if (!frame) return 0;
  const { subjectKey, tbs: ca } = issuer.certificate;
  // A CA may have one key under several names.
  const issuerKey = equalBytes(tbs.issuer, ca.subject) ? subjectKey : nameKey(tbs.issuer);
  const target = { ca: rules.ca, issuer: tbs.issuer, issuerKey };
  return [...rules.crlDistributionPoints, ISSUER_AS_POINT].reduce(
    (reasons, point) => reasons | reasonsInScope(frame, point, target),
    0,
  );
}

function newestFirst(slots: Scope['slots']): Scope['slots'] {
  if (slots.length < 2) return slots;
  const asOf = ({ slot: { base, delta } }: Scope['slots'][number]) =>
    Math.max(base?.asOf ?? Number.NEGATIVE_INFINITY, delta?.asOf ?? Number.NEGATIVE_INFINITY);
  return [...slots].sort((a, b) => asOf(b) - asOf(a));
}

/**
 * What a complete list and its delta say of a certificate; undefined where they say nothing. A delta that does not go with the
 * list, or is over, makes nothing better; whom it lists it still lists.
 */
function wordOf({ base, delta }: ListSlot, digest: Buffer, now: number): Word | undefined {
  const newer = delta && isNewer(delta, base) ? delta : undefined;
  const added = newer?.table.find(digest);
  if (newer && added && added.reason !== REMOVE_FROM_CRL) return { ...datesOf(newer), entry: added };
  if (!base) return undefined;
  const goesWith = newer !== undefined && newer.until >= now && isDeltaOf(newer, base);
  const listed = base.table.find(digest);
  if (!goesWith) return { ...datesOf(base), entry: listed };
  // RFC 5280 §5.2.4: both together have the delta's dates.
  return { ...datesOf(newer), entry: added ? undefined : listed };
}

function datesOf({ asOf, until }: HeldList): Pick<Word, 'asOf' | 'until'> {
  return { asOf, until };
}

function isNewer({ frame: { number = -1n } }: HeldList, base: HeldList | undefined): boolean {
  return number > (base?.frame.number ?? -1n);
}

/** RFC 5280 §6.3.3 (c), §5.2.4; issuer, key and scope are the same, since they are in one slot. */
function isDeltaOf({ frame: delta }: HeldList, { frame: base }: HeldList): boolean {
  if (delta.baseNumber === undefined || base.number === undefined) return false;
  return base.number >= delta.baseNumber && delta.authorityKeyIdentifier === base.authorityKeyIdentifier;
}

/** Of a certificate that was never seen only its numbers are known: whom any list has is not good. */
function onAny(slots: readonly ListSlot[], digest: Buffer, now: number): KnownStatus | undefined {
  let held: KnownStatus | undefined;
  for (const slot of slots) {
    const word = wordOf(slot, digest, now);
    if (!word?.entry) continue;
    const known = told({ ...word, entry: word.entry }, now);
    if (known.status === 'revoked') return known;
    held ??= known;
  }
  return held;
}

function oldestOf(one: Word, other: Word): Word {
  return {
    entry: undefined,
    asOf: Math.min(one.asOf, other.asOf),
    until: Math.min(one.until, other.until),
  };
}

function told({ entry, asOf, until }: Word & { readonly entry: CrlEntry }, now: number): KnownStatus {
  const held = entry.reason === CRL_REASON.certificateHold;
  const reason = held || entry.reason === 0 ? undefined : CRL_REASON_NAMES[entry.reason];
  return {
    status: held ? 'held' : 'revoked',
    since: entry.revokedAt,
    ageMs: Math.max(0, now - asOf),
    leftMs: until - now,
    ...(reason !== undefined && { reason }),
  };
}
