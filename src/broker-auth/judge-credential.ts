import { LRUCache } from 'lru-cache';
import { asBuffer, equalBytes } from '../core/bytes.ts';
import { findExtension, parseCertificate, type TbsCertificate } from '../x509/certificate.ts';
import { NO_EXPIRY } from '../x509/der/time.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import { openTrust } from '../x509/path/trust.ts';
import { type PathInput, validatePath } from '../x509/path/validate-path.ts';
import type { Refusal } from '../x509/path/verdict.ts';
import { askSources, type StatusFinding } from './ask-sources.ts';
import { type Credential, createCredentialReader } from './credential.ts';
import { createKeyJudge, type KeyDemand } from './key-demand.ts';
import type { StapledAnswers } from './ocsp/answer-source.ts';
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

export interface CredentialJudgeOptions {
  readonly trust: readonly TrustedNamespace[];
  /** CA certificates beside those of the trust, DER: known and not believed. Another list where it changed. */
  readonly intermediates?: () => readonly Uint8Array[];
  /** The one that looked last is believed, and before all others one that says revoked, which is never taken back. */
  readonly sources: readonly StatusSource[];
  /** Takes OCSP answers that came with a client, before its status is asked for. */
  readonly staples?: StapledAnswers;
  /** Verdicts remembered; one takes about 3 KiB. */
  readonly remembered?: number;
}

/** Judges a client's certificate; never throws for what its octets are. */
export type JudgeCredential = (
  leaf: Uint8Array,
  chain: readonly Uint8Array[],
  policy: ListenerPolicy,
  at: number,
  stapled?: readonly Uint8Array[],
) => CredentialVerdict;

interface Remembered {
  /** DER. */
  readonly leaf: Uint8Array;
  readonly credential: Credential;
  /** What was demanded of its keys, and that they are so. */
  keys?: KeyDemand;
  readonly usage: Usage;
  readonly until: number;
  readonly from: number;
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
  staples,
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

  return (leaf, chain, policy, at, stapled) => {
    const key = endOf(leaf);
    let entry = cache.get(key);
    if (
      !entry ||
      !equalBytes(leaf, entry.leaf) ||
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
    const status = policy.status === 'off' ? NOT_ASKED : statusOf(entry, policy, stapled);
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
    const { path, leaf: tbs, leafRules, lookAgainAt: until } = verdict;
    const credential = readCredential(path, tbs, leafRules, namespaceOf(tbs, trusted));
    return { leaf: new Uint8Array(leaf), credential, usage, from: at, until };
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
    { credential }: Remembered,
    policy: ListenerPolicy,
    stapled: readonly Uint8Array[] | undefined,
  ): StatusFinding | Denied {
    const { path } = credential;
    const notTaken = stapled && staples?.offer(credential, stapled);
    const mayBeUnknown = policy.withoutRevocation === 'accepted' && path[0]?.subject?.rules.noRevAvail;
    const told = askSources(path, sources, policy, mayBeUnknown);
    if ('reason' in told || told.gap === undefined || policy.status === 'soft') return told;
    const status = notTaken === undefined ? told : { ...told, why: withWhy(notTaken, told.why) };
    return { reason: 'statusUnknown', detail: gapText(status), status };
  }
}

function withWhy(one: string, other: string | undefined): string {
  return other === undefined ? one : `${one}; ${other}`;
}

function gapText({ ageMs, gap, why, source }: StatusFinding): string {
  if (gap !== 'stale') return `nothing is known of its status${why === undefined ? '' : `: ${why}`}`;
  if (ageMs === undefined)
    return 'nobody can say how old is what is known of its status: the clock was set back';
  return `its status was known ${Math.round(ageMs / 1000)} s ago, as ${source} says`;
}

/** A key of the cache, which holds the whole of it too: two certificates of one end would only push each other out. */
function endOf(leaf: Uint8Array): string {
  return asBuffer(leaf).toString('latin1', Math.max(0, leaf.length - END_OCTETS));
}

type Denied = Exclude<CredentialVerdict, { readonly reason: 'ok' }>;

const NO_CERTIFICATES: readonly Uint8Array[] = [];
/** Of the signature. */
const END_OCTETS = 24;
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
