import { LRUCache } from 'lru-cache';
import { equalBytes } from '../core/bytes.ts';
import { findExtension, parseCertificate } from '../x509/certificate.ts';
import type { Crl } from '../x509/crl-reader.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import { openTrust } from '../x509/path/trust.ts';
import { type PathInput, validatePath } from '../x509/path/validate-path.ts';
import type { Refusal, StatusGap, Verdict } from '../x509/path/verdict.ts';
import { type Credential, fingerprintOf, readCredential } from './credential.ts';
import { type KeyDemand, keyFault } from './key-demand.ts';
import type { ListenerPolicy, TrustedNamespace } from './policy.ts';
import type { KnownStatus, StatusSource } from './status-source.ts';

/** Where a status came from, and how old it is. */
export interface StatusFinding {
  readonly source: StatusSource['name'] | 'crl' | 'none';
  readonly ageMs?: number;
  /** Allowed although the status is not known (`soft`): to be counted and logged. */
  readonly gap?: StatusGap;
}

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
  /** Asked in order: the first that knows a certificate's status is believed. */
  readonly sources: readonly StatusSource[];
  /** Asked where no source knows all of a path. */
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
  /** DER, from the leaf to the anchor. */
  readonly path: readonly Uint8Array[];
  /** What its keys lack, by what is demanded of them. */
  readonly keyFaults: Map<KeyDemand, string | undefined>;
  readonly usage: boolean;
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
  sources,
  crls,
  remembered = REMEMBERED,
}: CredentialJudgeOptions): JudgeCredential {
  const trust = openTrust({
    anchors: namespaces.flatMap(({ anchors }) => anchors),
    intermediates: namespaces.flatMap(({ intermediates }) => intermediates),
  });
  const cache = new LRUCache<string, Remembered>({ max: remembered });

  return (leaf, chain, policy, at) => {
    const key = fingerprintOf(leaf);
    let entry = cache.get(key);
    if (
      !entry ||
      at >= entry.until ||
      at < entry.from ||
      (!entry.usage && policy.withoutUsage === 'refused')
    ) {
      const judged = judgePath(leaf, chain, policy, at);
      if (!('until' in judged)) return judged;
      entry = judged;
      cache.set(key, entry);
    }
    const weak = policy.keys && keyFaultOf(entry, policy.keys);
    if (weak !== undefined) return { reason: 'weak', detail: weak, credential: entry.credential };
    const status = policy.status === 'off' ? NOT_ASKED : statusOf(entry, leaf, chain, policy, at);
    const { credential, until } = entry;
    if ('detail' in status) return { ...status, credential };
    return { reason: 'ok', credential, status, until };
  };

  function judgePath(
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    policy: ListenerPolicy,
    at: number,
  ): Remembered | Exclude<CredentialVerdict, { readonly reason: 'ok' }> {
    let usage = true;
    let verdict = validatePath(leaf, { ...pathInput(chain, at), strictPurpose: true });
    if (verdict.reason === 'wrongUsage' && mayLackUsage(leaf, policy)) {
      usage = false;
      verdict = validatePath(leaf, pathInput(chain, at));
    }
    if (verdict.reason !== 'ok') return { reason: verdict.reason, detail: verdict.detail };
    const anchor = verdict.path.at(-1);
    const namespace = namespaces.find(({ anchors }) =>
      anchors.some((one) => anchor && equalBytes(one, anchor)),
    );
    if (!namespace || verdict.path.length < 2)
      return { reason: 'untrusted', detail: 'the certificate is an anchor itself, and no client' };
    const credential = readCredential(verdict.path, namespace.namespace);
    return {
      credential,
      path: verdict.path,
      keyFaults: new Map(),
      usage,
      from: at,
      until: verdict.lookAgainAt,
    };
  }

  function pathInput(chain: readonly Uint8Array[], at: number): PathInput {
    return { trust, untrusted: chain, at, purpose: 'clientAuth', possessionProven: true };
  }

  function statusOf(
    entry: Remembered,
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    policy: ListenerPolicy,
    at: number,
  ): StatusFinding | Denied {
    const known = bySources(entry.credential, at);
    const finding = known ?? (crls ? byCrls(entry, leaf, chain, at, crls()) : UNKNOWN);
    if ('detail' in finding && finding.reason !== 'statusUnknown') return finding;
    const gap = gapOf(finding, policy);
    if (gap === undefined) return 'detail' in finding ? UNKNOWN : finding;
    const { source, ageMs } = 'detail' in finding ? { source: 'none' as const, ageMs: undefined } : finding;
    const told = { source, ...(ageMs !== undefined && { ageMs }), gap };
    if (policy.status === 'soft') return told;
    const detail =
      ageMs === undefined
        ? 'nothing is known of its status'
        : `its status was known ${Math.round(ageMs / 1000)} s ago`;
    return { reason: 'statusUnknown', detail, status: told };
  }

  /** Undefined where no source knows one of the path. */
  function bySources({ path }: Credential, at: number): StatusFinding | Denied | undefined {
    let oldest: { readonly source: StatusSource['name']; readonly asOf: number } | undefined;
    for (const id of path) {
      let known: KnownStatus | undefined;
      let source: StatusSource['name'] = 'feed';
      for (const one of sources) {
        known = one.statusOf(id);
        source = one.name;
        if (known) break;
      }
      if (!known) return undefined;
      if (known.status !== 'good') return takenBack(known, id.serial, { source, ageMs: at - known.asOf });
      if (!oldest || known.asOf < oldest.asOf) oldest = { source, asOf: known.asOf };
    }
    return oldest && { source: oldest.source, ageMs: Math.max(0, at - oldest.asOf) };
  }

  function byCrls(
    entry: Remembered,
    leaf: Uint8Array,
    chain: readonly Uint8Array[],
    at: number,
    { generation, crls: lists }: CrlSource,
  ): StatusFinding | Denied {
    const before = entry.byCrl;
    let verdict = before?.verdict;
    const stale = verdict?.reason === 'ok' && at >= verdict.lookAgainAt;
    if (!verdict || before?.generation !== generation || stale) {
      verdict = validatePath(leaf, {
        ...pathInput(chain, at),
        strictPurpose: entry.usage,
        status: 'chain',
        crls: lists,
      });
      entry.byCrl = { generation, verdict };
    }
    if (verdict.reason === 'ok') return { source: 'crl' };
    return { reason: verdict.reason, detail: verdict.detail, status: { source: 'crl' } };
  }
}

/** A demand is one of few presets', so the same object each time. */
function keyFaultOf({ path, keyFaults }: Remembered, demand: KeyDemand): string | undefined {
  if (!keyFaults.has(demand)) keyFaults.set(demand, keyFault(path, demand));
  return keyFaults.get(demand);
}

type Denied = Exclude<CredentialVerdict, { readonly reason: 'ok' }>;

const NOT_ASKED: StatusFinding = { source: 'none' };
const UNKNOWN: Denied = {
  reason: 'statusUnknown',
  detail: 'nothing is known of its status',
  status: { source: 'none', gap: 'unknown' },
};

function gapOf(finding: StatusFinding | Denied, { maxStatusAgeMs }: ListenerPolicy): StatusGap | undefined {
  if ('detail' in finding) return finding.status?.gap ?? 'unknown';
  // A list has its own end, which the path's validation holds it to.
  return finding.ageMs !== undefined && finding.ageMs > maxStatusAgeMs ? 'stale' : undefined;
}

function takenBack({ status, reason, since }: KnownStatus, serial: string, finding: StatusFinding): Denied {
  const said = reason === undefined ? '' : ` (${reason})`;
  const when = since === undefined ? '' : ` since ${new Date(since).toISOString()}`;
  return status === 'held'
    ? { reason: 'onHold', detail: `certificate ${serial} is held${when}`, status: finding }
    : { reason: 'revoked', detail: `certificate ${serial} is revoked${said}${when}`, status: finding };
}

/** IEEE 802.1AR-2018 §8.10: an IDevID needs no extKeyUsage. What makes it one: no end, or a device's name of its own. */
function mayLackUsage(leaf: Uint8Array, { withoutUsage }: ListenerPolicy): boolean {
  if (withoutUsage === 'refused') return false;
  const { tbs } = parseCertificate(leaf);
  if (findExtension(tbs, EXTENSION.extendedKeyUsage)) return false;
  if (withoutUsage === 'accepted') return true;
  const named = parseName(tbs.subject)
    .flat()
    .some(({ oid }) => oid === ATTRIBUTE_OIDS.serialNumber);
  return named && tbs.notAfter.at >= NO_END;
}

/** 99991231235959Z (RFC 5280 §4.1.2.5). */
const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);
