import type { EvidenceLevel } from './evidence.ts';
import type { KeyDemand } from './key-demand.ts';
import type { ListenerPolicy, StatusMode } from './policy.ts';

/** How a broker's listener must speak TLS. Names as OpenSSL has them. */
export interface TlsDemand {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Of TLS 1.3 and 1.2; others must not be offered. */
  readonly cipherSuites: readonly string[];
  /** Groups of the key exchange. */
  readonly groups: readonly string[];
}

/** A named set of demands on a listener (MQTT 3.1.1 §5.4.11). What is configured beside it may be stricter, never weaker. */
export interface Preset {
  /** Absent: plain connections are allowed. */
  readonly tls?: TlsDemand;
  readonly keys?: KeyDemand;
  readonly evidence: EvidenceLevel;
  readonly status: StatusMode;
  readonly maxStatusAgeMs: number;
  readonly maxSessionMs?: number;
  readonly withoutUsage: ListenerPolicy['withoutUsage'];
  readonly withoutRevocation: ListenerPolicy['withoutRevocation'];
  /** Where the demands come from, for `doctor` and the docs. */
  readonly source: string;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const AES_128 = ['TLS_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'];
const AES_256 = ['TLS_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'];
const CHACHA = [
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];
const NIST_CURVES = ['P-256', 'P-384', 'P-521'] as const;

const MODERN: TlsDemand = {
  minVersion: 'TLSv1.2',
  cipherSuites: [...AES_128, ...AES_256, ...CHACHA],
  groups: ['X25519MLKEM768', 'X25519', 'P-256', 'P-384', 'P-521'],
};
const APPROVED: TlsDemand = {
  minVersion: 'TLSv1.2',
  cipherSuites: [...AES_128, ...AES_256],
  groups: [...NIST_CURVES],
};
const ML_DSA = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const;
const ANY_GOOD_KEY: KeyDemand = { curves: NIST_CURVES, ed25519: true, minRsaBits: 2048, mlDsa: ML_DSA };
const APPROVED_KEY: KeyDemand = { curves: NIST_CURVES, ed25519: false, minRsaBits: 2048, mlDsa: ML_DSA };

export const PRESET_NAMES = [
  'open',
  'private-network',
  'transport',
  'fips-140',
  'nist-7628',
  'pci-dss',
  'cnsa-1',
  'cnsa-2',
] as const;

export type PresetName = (typeof PRESET_NAMES)[number];

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  open: {
    evidence: 'none',
    status: 'off',
    maxStatusAgeMs: 24 * HOUR_MS,
    withoutUsage: 'accepted',
    withoutRevocation: 'accepted',
    source: 'MQTT 3.1.1 §5.4.11 "clear communication": for tests only',
  },
  'private-network': {
    keys: ANY_GOOD_KEY,
    evidence: 'name',
    status: 'soft',
    maxStatusAgeMs: HOUR_MS,
    withoutUsage: 'idevid',
    withoutRevocation: 'accepted',
    source: 'MQTT 3.1.1 §5.4.11 "secured network communication"',
  },
  transport: {
    tls: MODERN,
    keys: ANY_GOOD_KEY,
    evidence: 'name',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    withoutUsage: 'idevid',
    withoutRevocation: 'accepted',
    source: 'MQTT 3.1.1 §5.4.11 "secured transport communication"; RFC 9325 §3.1, §4.2',
  },
  'fips-140': {
    tls: APPROVED,
    keys: APPROVED_KEY,
    evidence: 'certificate',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    withoutUsage: 'idevid',
    withoutRevocation: 'accepted',
    source: 'NIST SP 800-52r2 §3.1, §3.3; SP 800-131Ar2 §3',
  },
  'nist-7628': {
    tls: APPROVED,
    keys: APPROVED_KEY,
    evidence: 'certificate',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    maxSessionMs: 24 * HOUR_MS,
    withoutUsage: 'idevid',
    withoutRevocation: 'accepted',
    source: 'NISTIR 7628r1 vol. 1 §4.2 (approved algorithms, revocation known); the session age is ours',
  },
  'pci-dss': {
    tls: { ...MODERN, groups: MODERN.groups.filter((group) => group !== 'X25519MLKEM768') },
    keys: ANY_GOOD_KEY,
    evidence: 'certificate',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    maxSessionMs: 24 * HOUR_MS,
    withoutUsage: 'refused',
    withoutRevocation: 'refused',
    source: 'PCI DSS 4.0.1 §4.2.1 (certificates valid, not expired, not revoked); the session age is ours',
  },
  'cnsa-1': {
    tls: {
      minVersion: 'TLSv1.2',
      cipherSuites: AES_256,
      groups: ['P-384'],
    },
    keys: { curves: ['P-384'], ed25519: false, minRsaBits: 3072, mlDsa: [] },
    evidence: 'certificate',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    withoutUsage: 'refused',
    withoutRevocation: 'accepted',
    source: 'RFC 9151 §4, §5, §6',
  },
  'cnsa-2': {
    tls: {
      minVersion: 'TLSv1.3',
      cipherSuites: ['TLS_AES_256_GCM_SHA384'],
      groups: ['MLKEM1024'],
    },
    keys: {
      curves: [],
      ed25519: false,
      minRsaBits: Number.POSITIVE_INFINITY,
      mlDsa: ['ml-dsa-87'],
    },
    evidence: 'certificate',
    status: 'hard',
    maxStatusAgeMs: 5 * MINUTE_MS,
    withoutUsage: 'refused',
    withoutRevocation: 'accepted',
    source: 'NSA, CNSA 2.0 (ML-KEM-1024, ML-DSA-87, AES-256, SHA-384); draft-becker-cnsa2-tls-profile-03',
  },
};
