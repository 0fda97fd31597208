import { createHash } from 'node:crypto';

/** Chains are of a client's making: both bounds hold. */
const MAX_CHAINS = 10_000;
const MAX_OCTETS = 16 * 1024 * 1024;

/** What came with a leaf certificate in the handshake that showed it. */
export interface ChainMemory {
  remember(leaf: Uint8Array, chain: readonly Uint8Array[]): void;
  recall(leaf: Uint8Array): readonly Uint8Array[];
}

/**
 * Remembers the chains of full handshakes for the resumed ones, where OpenSSL keeps the client's leaf and nothing else.
 * It is of one process, as the keys of session tickets are: a ticket of another one leads to a full handshake. Those
 * used longest ago are forgotten; their clients are known by their leaf alone until their next full handshake.
 */
export function createChainMemory(): ChainMemory {
  const chains = new Map<string, readonly Uint8Array[]>();
  let octets = 0;
  const take = (key: string) => {
    const chain = chains.get(key);
    if (!chain) return undefined;
    chains.delete(key);
    octets -= sizeOf(chain);
    return chain;
  };
  const put = (key: string, chain: readonly Uint8Array[]) => {
    take(key);
    if (chain.length === 0) return;
    chains.set(key, chain);
    octets += sizeOf(chain);
    for (const oldest of chains.keys()) {
      if (chains.size <= MAX_CHAINS && octets <= MAX_OCTETS) return;
      take(oldest);
    }
  };
  return {
    remember: (leaf, chain) => put(keyOf(leaf), chain),
    recall: (leaf) => {
      const key = keyOf(leaf);
      const chain = take(key) ?? [];
      put(key, chain);
      return chain;
    },
  };
}

function keyOf(leaf: Uint8Array): string {
  return createHash('sha256').update(leaf).digest('base64');
}

function sizeOf(chain: readonly Uint8Array[]): number {
  return chain.reduce((sum, { length }) => sum + length, 0);
}
