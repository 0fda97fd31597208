import { LRUCache } from 'lru-cache';
import { equalBytes } from '../core/bytes.ts';
import { findExtension, parseCertificate, type TbsCertificate } from '../x509/certificate.ts';
import type { Crl } from '../x509/crl-reader.ts';
import { NO_EXPIRY } from '../x509/der/time.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import { openTrust } from '../x509/path/trust.ts';
import { type PathInput, validatePath } from '../x509/path/validate-path.ts';
import type { Refusal, Verdict } from '../x509/path/verdict.ts';
import { askSources, type StatusFinding } from './ask-sources.ts';
import { type Credential, createCredentialReader, fingerprintOf } from './credential.ts';
import { createKeyJudge, type KeyDemand } from './key-demand.ts';
import type { ListenerPolicy, TrustedNamespace } from './policy.ts';
import type { StatusSource } from './status-source.ts';

export type CredentialVerdict =
  | {
      readonly reason: 'ok';
      readonly credential: Credential;
      readonly status: StatusFinding;
      /** Milliseconds since the epoch: the path holds until then. */
      readonly until: number;
    }
  | {
      readonly reason: Refusal;
      /** For people. */
      readonly detail: string;
      /** Where a path to an anchor was found. */
      readonly credential?: Credential;
      readonly status?: StatusFinding;
    };

/** CRLs as last loaded; the generation is another number after each change. */
export interface CrlSource {
  readonly generation: number;
  readonly crls: readonly Crl[];
}

export interface CredentialJudgeOptions {
  readonly trust: readonly TrustedNamespace[];
  /** CA certificates beside those of the trust, DER: known and not believed. Another list where it changed. */
  readonly intermediates?: () => readonly Uint8Array[];
  /** The one that looked last is believed, and before all others one that says revoked, which is never taken back. */
  readonly sources: readonly StatusSource[];
  /** Asked where no source knows all of a path, or only what is too old. */
  readonly crls?: () => CrlSource;
  /** Verdicts remembered; one takes about 3 KiB. */
  readonly remembered?: number;
}

/** Judges a client's certificate; never throws for what its octets are. */
export type JudgeCredential = (
  leaf: Uint8Array,
  chain: readonly Uint8Array[],
  policy: ListenerPolicy,
  at: number,
) => CredentialVerdict;

interface Remembered {
  readonly credential: Credential;
  /** What was demanded of its keys, and that they are so. */
  keys?: KeyDemand;
  readonly usage: Usage;
  readonly until: number;
  readonly from: number;
  byCrl?: { readonly generation: number; readonly verdict: Verdict };
}

const REMEMBERED = 50_000;

/**
 * Validates paths (RFC 5280 §6, `x509/path`) and asks for the status of every certificate below the anchor. A path that was
 * found good is remembered by the certificate's octets until it ends; its status is asked for each time.
 */
export function createCredentialJudge({
  trust: namespaces,
  intermediates: knownIntermediates = () => NO_CERTIFICATES,
  sources,
  crls,
  remembered = REMEMBERED,
}: CredentialJudgeOptions): JudgeCredential {
  let known: readonly Uint8Array[] = NO_CERTIFICATES;
  const open = () =>
    openTrust({
      anchors: namespaces.flatMap(({ anchors }) => anchors),
      intermediates: [...namespaces.flatMap(({ intermediates }) => intermediates), ...known],
    });
  let trust = open();
  /** A generation of a CA may come while we judge. What was found good before stays so: only ways are added. */
  const latestTrust = () => {
    const latest = knownIntermediates();
    if (latest !== known) {
      known = latest;
      trust = open();
    }
    return trust;
  };
  const readCredential = createCredentialReader();
  const keyFault = createKeyJudge();
  const owners = new WeakMap<Uint8Array, TrustedNamespace>();
  const cache = new LRUCache<string, Remembered>({ max: remembered });

  return (leaf, chain, policy, at) => {
    const key = fingerprintOf(leaf);
    let entry = cache.get(key);
    if (
      !entry ||
      at >= entry.until ||
      at < entry.from ||
      !ALLOWED_USAGE[policy.withoutUsage].includes(entry.usage)
    ) {
      const judged = judgePath(leaf, chain, policy, at);
      if (!('until' in judged)) return judged;
      entry = judged;
      cache.set(key, entry);
    }
    if (policy.keys && entry.keys !== policy.keys) {
      const weak = keyFault(entry.credential, policy.keys);
      if (weak !== undefined) return { reason: 'weak', detail: weak, credential: entry.credential };
      entry.keys = policy.keys;
    }
    const status = policy.status === 'off' ? NOT_ASKED : statusOf(entry, leaf, chain, policy, at);
    const { credential, until } = entry;
    if ('reason' in status) return { ...status, credential };
    return { reason: 'ok', credential, status, until };
  };

  function judgePath(
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    policy: ListenerPolicy,
    at: number,
  ): Remembered | Exclude<CredentialVerdict, { readonly reason: 'ok' }> {
    let usage: Usage = 'stated';
    let verdict = validatePath(leaf, { ...pathInput(chain, at), strictPurpose: true });
    if (verdict.reason === 'wrongUsage') {
      usage = usageOf(leaf);
      if (usage !== 'stated' && ALLOWED_USAGE[policy.withoutUsage].includes(usage))
        verdict = validatePath(leaf, pathInput(chain, at));
    }
    if (verdict.reason !== 'ok') return { reason: verdict.reason, detail: verdict.detail };
    const trusted = ownerOf(verdict.path.at(-1));
    if (!trusted || verdict.path.length < 2)
      return { reason: 'untrusted', detail: 'the certificate is an anchor itself, and no client' };
    const credential = readCredential(verdict.path, verdict.leaf, namespaceOf(verdict.leaf, trusted));
    return { credential, usage, from: at, until: verdict.lookAgainAt };
  }

  /** Anchors are the same object in each path, until the trust is opened anew. */
  function ownerOf(anchor: Uint8Array = NO_OCTETS): TrustedNamespace | undefined {
    let owner = owners.get(anchor);
    if (!owner) {
      owner = namespaces.find(({ anchors }) => anchors.some((one) => equalBytes(one, anchor)));
      if (owner) owners.set(anchor, owner);
    }
    return owner;
  }

  function pathInput(chain: readonly Uint8Array[], at: number): PathInput {
    return { trust: latestTrust(), untrusted: chain, at, purpose: 'clientAuth', possessionProven: true };
  }

  function statusOf(
    entry: Remembered,
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    policy: ListenerPolicy,
    at: number,
  ): StatusFinding | Denied {
    const told = askSources(entry.credential.path, sources, at, policy.maxStatusAgeMs);
    if ('reason' in told) return told;
    if (told.gap === undefined) return told;
    const listed = crls && byCrls(entry, leaf, chain, at, crls());
    if (listed?.reason === 'ok') return { source: 'crl' };
    if (listed && listed.reason !== 'statusUnknown')
      return { reason: listed.reason, detail: listed.detail, status: { source: 'crl' } };
    if (policy.status === 'soft') return told;
    const detail =
      told.ageMs === undefined
        ? 'nothing is known of its status'
        : `its status was known ${Math.round(told.ageMs / 1000)} s ago`;
    return { reason: 'statusUnknown', detail, status: told };
  }

  function byCrls(
    entry: Remembered,
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    at: number,
    { generation, crls: lists }: CrlSource,
  ): Verdict {
    const before = entry.byCrl;
    const holds = before && !(before.verdict.reason === 'ok' && at >= before.verdict.lookAgainAt);
    if (holds && before.generation === generation) return before.verdict;
    const verdict = validatePath(leaf, {
      ...pathInput(chain, at),
      strictPurpose: entry.usage === 'stated',
      status: 'chain',
      crls: lists,
    });
    entry.byCrl = { generation, verdict };
    return verdict;
  }
}

type Denied = Exclude<CredentialVerdict, { readonly reason: 'ok' }>;

const NO_CERTIFICATES: readonly Uint8Array[] = [];
const NO_OCTETS = new Uint8Array(0);
const NOT_ASKED: StatusFinding = { source: 'none' };

/** Two units that are not ours give a name that no namespace has, and so no role. */
function namespaceOf({ subject }: TbsCertificate, { namespace, guests }: TrustedNamespace): string {
  const units = guests
    ? parseName(subject)
        .flat()
        .filter(({ oid, value }) => oid === ATTRIBUTE_OIDS.OU && !guests.ownUnits.includes(value))
    : [];
  return units.length === 0 ? namespace : units.map(({ value }) => value).join('+');
}

/** What a certificate says of what it is for, in extKeyUsage. */
type Usage = 'stated' | 'idevid' | 'absent';

const ALLOWED_USAGE: Readonly<Record<ListenerPolicy['withoutUsage'], readonly Usage[]>> = {
  refused: ['stated'],
  idevid: ['stated', 'idevid'],
  accepted: ['stated', 'idevid', 'absent'],
};

/** IEEE 802.1AR-2018 §8.10: an IDevID needs no extKeyUsage. What makes it one: no end, and a device's name of its own. */
function usageOf(leaf: Uint8Array): Usage {
  const { tbs } = parseCertificate(leaf);
  if (findExtension(tbs, EXTENSION.extendedKeyUsage)) return 'stated';
  const named = parseName(tbs.subject)
    .flat()
    .some(({ oid }) => oid === ATTRIBUTE_OIDS.serialNumber);
  return named && tbs.notAfter.at >= NO_EXPIRY ? 'idevid' : 'absent';
}
