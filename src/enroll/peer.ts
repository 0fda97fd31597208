/** What the connection under a request proves of who is asking. */
export interface Peer {
  /** The certificate whose key the peer proved in the handshake, or that a configured proxy forwarded. Not judged yet. */
  readonly certificate?: PeerCertificate;
  /**
   * What a CSR can be bound to (RFC 7030 §3.5). Absent where a proxy ended the TLS connection, and on TLS 1.2 without extended
   * master secret, where tls-unique is worth nothing (RFC 7627).
   */
  readonly binding?: ChannelBinding;
}

export interface PeerCertificate {
  /** DER. */
  readonly leaf: Uint8Array;
  /** DER of what came with it, in any order. */
  readonly chain: readonly Uint8Array[];
  readonly via: 'tls' | `proxy:${string}`;
}

export interface ChannelBinding {
  /** RFC 5929 §3 on TLS 1.2, RFC 9266 on TLS 1.3. */
  readonly kind: 'tls-unique' | 'tls-exporter';
  readonly octets: Uint8Array;
}
