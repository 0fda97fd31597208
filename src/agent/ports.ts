import type { SignatureAlgorithmName } from '../core/signature-algorithm.ts';
import type { KeyType } from './key/key-type.ts';

/** What Node's TLS needs to use a private key: the key itself, or what finds it in a token. */
export type TlsKey =
  | { readonly key: string }
  | { readonly privateKeyEngine: string; readonly privateKeyIdentifier: string };

/** A device's private key, in a file or in a token that never gives it out. */
export interface DeviceKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly algorithm: SignatureAlgorithmName;
  /** The signatureValue's octets over `tbs`; ECDSA signatures are DER. */
  sign(tbs: Uint8Array): Uint8Array;
  /** @throws BirthmarkError `key-store-failed` where TLS cannot get at it */
  tls(): TlsKey;
}

/** A key with the certificates that name it, DER, its own first. */
export interface Credential {
  readonly key: DeviceKey;
  readonly chain: readonly [Uint8Array, ...Uint8Array[]];
}

/**
 * Makes and finds keys by a name that is written down before the key is made, so that a key that a crash left without
 * a certificate is found again.
 */
export interface KeyStore {
  /** Whether there is a key of that name. `folder` is where a store on disk keeps it. */
  has(name: string, folder: string): boolean;
  /** Makes it. */
  make(name: string, folder: string, type: KeyType): void;
  /** @throws BirthmarkError `key-file-unreadable`, `key-store-failed` where there is none */
  open(name: string, folder: string): DeviceKey;
  /** Forgets the key for good; it is no error where there is none. */
  destroy(name: string): void;
}

/** The authority, as a device sees it. Each method rejects with `unavailable` and `proxy-failed` where nobody answers. */
export interface Authority {
  /**
   * All certificates of the authorities, DER, over a channel that our roots authenticate, and the chain that the server showed.
   *
   * @throws BirthmarkError `server-untrusted`, `answer-refused`
   */
  caCertificates(): Promise<{
    readonly certificates: readonly Uint8Array[];
    readonly serverChain: readonly Uint8Array[];
  }>;
  /**
   * The kind of key that it asks for, if it does.
   *
   * @throws BirthmarkError `key-algorithm-not-allowed` for one that is not made here
   */
  wantedKey(): Promise<KeyType | undefined>;
  /** Asks for a certificate. The same request with the same key may be sent again. */
  enroll(request: EnrollRequest): Promise<EnrollAnswer>;
  /** When a certificate is to be renewed (RFC 9773 §4.1); undefined where the server says nothing of it. */
  renewalInfo(certificate: Uint8Array): Promise<RenewalInfo | undefined>;
  /** Shows a credential in a handshake, and asks for nothing that the authority takes for a use of it. Never rejects for want of an answer. */
  rehearse(credential: Credential): Promise<ProbeVerdict>;
  /** Uses a credential, so that the authority sees it. Never rejects for want of an answer. */
  confirm(credential: Credential): Promise<ProbeVerdict>;
}

/** What vouches for a device. */
export type Voucher =
  | { readonly kind: 'ticket'; readonly serialNumber: string; readonly ticket: string }
  /** An IDevID, which enrolls. */
  | { readonly kind: 'idevid'; readonly credential: Credential }
  /** The certificate that is to be renewed. */
  | { readonly kind: 'current'; readonly credential: Credential };

export interface EnrollRequest {
  readonly by: Voucher;
  readonly key: DeviceKey;
}

export type EnrollAnswer =
  | { readonly kind: 'issued'; readonly certificate: Uint8Array }
  /** It is not decided yet, or the server has no time: the same request later. */
  | { readonly kind: 'later'; readonly retryAfterMs?: number; readonly detail: string }
  /** `code` is the server's own word, where it has one. */
  | { readonly kind: 'refused'; readonly status: number; readonly code?: string; readonly detail: string };

/** RFC 9773 §4.2; milliseconds since the epoch. */
export interface RenewalInfo {
  readonly window: RenewalWindow;
  /** When to ask again. */
  readonly retryAfterMs?: number;
}

export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

/** Whether a new credential works: only who was asked and said no refuses; silence is `unclear`. */
export type ProbeVerdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'unclear'; readonly detail: string };

/** What is told to who runs the agent. */
export type Tell = (event: AgentEvent) => void;

export interface AgentEvent {
  readonly level: 'info' | 'warn';
  readonly event:
    | 'enrolled'
    | 'renewed'
    | 'asked'
    | 'waiting'
    | 'refused'
    | 'probe-failed'
    | 'went-back'
    | 'dropped'
    | 'trust-changed'
    | 'root-refused'
    | 'hook-failed'
    | 'clock';
  /** For people; no secret is ever in it. */
  readonly detail: string;
}
