// Where we differ from what a checker would like, and why. docs/divergences.md says the same to readers.
import type { KeyKind } from '../interop/csr-makers.ts';
import type { Finding } from './checker.ts';

/** What was judged. */
export interface Subject {
  readonly kind: 'idevid' | 'ldevid' | 'crl' | 'ocsp';
  /** The device's key; absent for lists. */
  readonly key?: KeyKind;
}

export interface Departure {
  /** The checker's own code. Only warnings can be departed from: an error is an error. */
  readonly code: string;
  readonly applies: (subject: Subject) => boolean;
  readonly reason: string;
}

export const DEPARTURES: readonly Departure[] = [
  {
    code: 'ski.missing',
    applies: ({ kind }) => kind === 'idevid',
    reason:
      'IEEE 802.1AR-2018 advises against subjectKeyIdentifier in an IDevID (RFC 5280 §4.2.1.2: SHOULD in end entities); ' +
      'subjectKeyIdentifier = true in the profile puts it in.',
  },
  {
    code: 'key.802.1AR',
    applies: ({ key }) => key === 'Ed25519',
    reason:
      'Devices whose key is Ed25519 exist; IEEE 802.1AR-2018 names RSA-2048, P-256 and P-384 only. ' +
      'allowedKeys in the profile refuses it.',
  },
];

/** The departure that allows a finding, if one does. */
export function departureFor({ level, code }: Finding, subject: Subject): Departure | undefined {
  if (level !== 'WARN') return undefined;
  return DEPARTURES.find((departure) => departure.code === code && departure.applies(subject));
}
