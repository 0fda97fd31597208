/** What a broker shows of a client. From a name alone a revoked certificate cannot be told from its successor. */
export type Evidence =
  | {
      readonly level: 'certificate';
      /** DER. The broker's listener has had the possession of its key proven in the handshake. */
      readonly leaf: Uint8Array;
      /** DER of what came with it; empty where the session was resumed, or the broker shows the leaf only. */
      readonly chain: readonly Uint8Array[];
      /** DER of OCSPResponses that the client stapled in the handshake, where the TLS library shows them: Node's does not. */
      readonly stapled?: readonly Uint8Array[];
    }
  | {
      readonly level: 'name';
      /** The common name or subject that the broker read from a certificate that it verified itself. */
      readonly name: string;
    }
  | { readonly level: 'none' };

export type EvidenceLevel = Evidence['level'];

const ORDER: readonly EvidenceLevel[] = ['none', 'name', 'certificate'];

/** Whether the evidence is at least what the policy asks: a broker that was set up wrongly must not weaken it silently. */
export function suffices(shown: EvidenceLevel, minimum: EvidenceLevel): boolean {
  return ORDER.indexOf(shown) >= ORDER.indexOf(minimum);
}
