import type { KeyUsageName } from '../x509/extensions.ts';
import type { KeyAlgorithm } from './key-policy/check-public-key.ts';

export const PROFILE_KINDS = ['idevid', 'ldevid', 'server', 'operator'] as const;
export type ProfileKind = (typeof PROFILE_KINDS)[number];

/** What a certificate of a kind must be; made from the configuration by `parseProfile`. */
export interface Profile {
  readonly name: string;
  /** Beside those of the configuration there is the authorities' own OCSP signer. */
  readonly kind: ProfileKind | 'ocsp-responder';
  /** The authority that issues it. */
  readonly authority: string;
  /** O and OU of the subject. */
  readonly organization: string;
  readonly organizationalUnit?: string;
  /** What the CN says, if there is one. Never what a CSR says. */
  readonly commonName: 'none' | 'model' | 'holder';
  /** Days, or without a well-defined end (99991231235959Z). */
  readonly validityDays: number | 'forever';
  readonly subjectKeyIdentifier: boolean;
  readonly keyUsage: readonly KeyUsageName[];
  /** Object identifiers. */
  readonly extendedKeyUsage: readonly string[];
  readonly policies: readonly string[];
  readonly authorityInfoAccess: boolean;
  readonly crlDistributionPoint: boolean;
  /** hwType for devices whose hwType was not told; their hwSerialNum is then their serial number's octets. */
  readonly hwType?: string;
  /** A hardwareModuleName goes into the SAN where the hardware is known. */
  readonly hardwareModuleName: boolean;
  readonly allowedKeys: readonly KeyAlgorithm[];
  /** The device's key must be of the authority's algorithm (IEEE 802.1AR-2018 wants one suite in a chain). */
  readonly sameAlgorithmChain: boolean;
  /** A key that another certificate of the device has is refused. */
  readonly newKey: boolean;
}

/** Whether certificates of this kind belong to a device of the ledger. */
export function isDeviceKind(kind: Profile['kind']): boolean {
  return kind === 'idevid' || kind === 'ldevid';
}
