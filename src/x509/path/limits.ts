/** Bounds of what a stranger's certificates can make us do (RFC 5280 §8; RFC 4158 §2.4.2 on loops). */
export interface PathLimits {
  /** Intermediates of a path that are not self-issued. */
  readonly maxDepth: number;
  /** Certificates between leaf and anchor, self-issued ones too. */
  readonly maxPathLength: number;
  readonly maxSignatureChecks: number;
  /** Of signature checks, in units of about one P-256 verification: some keys cost ten times as much as others. */
  readonly maxSignatureCost: number;
  /** Names held against name constraints, over all paths that are tried. */
  readonly maxNameComparisons: number;
  /** Times that a certificate is tried as the issuer of another, remembered signatures too. */
  readonly maxSteps: number;
  /** Paths to an anchor that are held to the rules. */
  readonly maxPaths: number;
  /** Of certificates that come with a leaf, all together. */
  readonly maxUntrustedOctets: number;
}

export const DEFAULT_LIMITS: PathLimits = {
  maxDepth: 8,
  maxPathLength: 12,
  maxSignatureChecks: 100,
  maxSignatureCost: 160,
  maxNameComparisons: 2 ** 20,
  maxSteps: 1000,
  maxPaths: 32,
  maxUntrustedOctets: 128 * 1024,
};

/** What is left of the limits while one leaf is judged. Each method says whether the work may be done. */
export class Budget {
  #signatureChecks: number;
  #signatureCost: number;
  #nameComparisons: number;
  #steps: number;
  #paths: number;
  /** The first limit that was reached, for people. */
  exhausted: string | undefined;

  constructor(limits: PathLimits) {
    this.#signatureChecks = limits.maxSignatureChecks;
    this.#signatureCost = limits.maxSignatureCost;
    this.#nameComparisons = limits.maxNameComparisons;
    this.#steps = limits.maxSteps;
    this.#paths = limits.maxPaths;
  }

  /** @param cost see `PathLimits.maxSignatureCost` */
  signatureCheck(cost: number): boolean {
    this.#signatureChecks -= 1;
    this.#signatureCost -= cost;
    return this.#within(this.#signatureChecks >= 0 && this.#signatureCost >= 0, 'signature checks');
  }

  nameComparisons(count: number): boolean {
    this.#nameComparisons -= count;
    return this.#within(this.#nameComparisons >= 0, 'comparisons of names with name constraints');
  }

  step(): boolean {
    this.#steps -= 1;
    return this.#within(this.#steps >= 0, 'steps of path building');
  }

  path(): boolean {
    this.#paths -= 1;
    return this.#within(this.#paths >= 0, 'paths to an anchor');
  }

  /** Work that was done, for tests and benches: signature checks and steps. */
  spent(limits: PathLimits): { readonly signatureChecks: number; readonly steps: number } {
    return {
      signatureChecks: limits.maxSignatureChecks - this.#signatureChecks,
      steps: limits.maxSteps - this.#steps,
    };
  }

  #within(is: boolean, what: string): boolean {
    if (!is) this.exhausted ??= what;
    return is;
  }
}
