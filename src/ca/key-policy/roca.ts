import { primesBelow } from './big-integer.ts';

const GENERATOR = 65537;

interface Subgroup {
  readonly prime: bigint;
  /** The order of 65537 modulo the prime. */
  readonly order: number;
  /** For each residue its discrete logarithm to the base 65537, or −1 where no power of 65537 reaches it. */
  readonly logarithms: Int16Array;
}

// M is the product of the first 39, 71, 126 or 225 primes, by key size: the first 39 (to 167) are in each.
// 2 says nothing, every modulus is odd.
const SUBGROUPS: readonly Subgroup[] = primesBelow(168).slice(1).map(subgroupOf);
const PRODUCT = SUBGROUPS.reduce((product, { prime }) => product * prime, 1n);

/**
 * Tells whether the modulus has the structure of keys made by Infineon's RSALib, which can be factored (ROCA,
 * CVE-2017-15361): its primes are k·M + (65537^a mod M), so the modulus itself is a power of 65537 modulo M.
 *
 * Source: Nemec et al., "The Return of Coppersmith's Attack", ACM CCS 2017, §2; CA/Browser Forum BR 6.1.1.3.
 */
export function hasRocaStructure(modulus: bigint): boolean {
  const residue = modulus % PRODUCT;
  const logarithms: number[] = [];
  for (const { prime, logarithms: table } of SUBGROUPS) {
    const logarithm = table[Number(residue % prime)] ?? -1;
    // Nearly every good key ends here, four of five at 11; one in 2^27 does not, too many to refuse.
    if (logarithm < 0) return false;
    logarithms.push(logarithm);
  }
  return haveCommonExponent(logarithms);
}

/**
 * One exponent must serve all primes at once. By the Chinese remainder theorem there is one exactly if each
 * two logarithms agree modulo what their orders share. A good key passes for a bad one once in 2^154.
 */
function haveCommonExponent(logarithms: readonly number[]): boolean {
  return SUBGROUPS.every(({ order }, i) =>
    SUBGROUPS.slice(0, i).every((other, j) => {
      const shared = smallGcd(order, other.order);
      return ((logarithms[i] ?? 0) - (logarithms[j] ?? 0)) % shared === 0;
    }),
  );
}

function subgroupOf(prime: number): Subgroup {
  const logarithms = new Int16Array(prime).fill(-1);
  let order = 0;
  for (let power = 1; logarithms[power] === -1; power = (power * GENERATOR) % prime) {
    logarithms[power] = order;
    order++;
  }
  return { prime: BigInt(prime), order, logarithms };
}

function smallGcd(a: number, b: number): number {
  return b === 0 ? a : smallGcd(b, a % b);
}
