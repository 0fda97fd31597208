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
  /** Paths whose policies are followed: a hostile one takes a third of a millisecond. */
  readonly maxPolicyGraphs: number;
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
  maxPaths: 256,
  maxPolicyGraphs: 32,
  maxUntrustedOctets: 128 * 1024,
};

/** What is left of the limits while one leaf is judged. Each method says whether the work may be done. */
export class Budget {
  #signatureChecks: number;
  #signatureCost: number;
  #nameComparisons: number;
  #steps: number;
  #paths: number;
  #policyGraphs: number;
  /** The first limit that was reached, for people. */
  exhausted: string | undefined;

  constructor(limits: PathLimits) {
    this.#signatureChecks = limits.maxSignatureChecks;
    this.#signatureCost = limits.maxSignatureCost;
    this.#nameComparisons = limits.maxNameComparisons;
    this.#steps = limits.maxSteps;
    this.#paths = limits.maxPaths;
    this.#policyGraphs = limits.maxPolicyGraphs;
  }

  /** @param cost see `PathLimits.maxSignatureCost` */
  signatureCheck(cost: number): boolean {
    if (this.#signatureChecks < 1 || this.#signatureCost < cost) return this.#refuse('signature checks');
    this.#signatureChecks -= 1;
    this.#signatureCost -= cost;
    return true;
  }

  nameComparisons(count: number): boolean {
    if (this.#nameComparisons < count) return this.#refuse('comparisons of names with name constraints');
    this.#nameComparisons -= count;
    return true;
  }

  step(): boolean {
    if (this.#steps < 1) return this.#refuse('steps of path building');
    this.#steps -= 1;
    return true;
  }

  path(): boolean {
    if (this.#paths < 1) return this.#refuse('paths to an anchor');
    this.#paths -= 1;
    return true;
  }

  policyGraph(): boolean {
    if (this.#policyGraphs < 1) return this.#refuse('paths whose policies can be followed');
    this.#policyGraphs -= 1;
    return true;
  }

  /** Work that was done, for tests and benches: signature checks and steps. */
  spent(limits: PathLimits): { readonly signatureChecks: number; readonly steps: number } {
    return {
      signatureChecks: limits.maxSignatureChecks - this.#signatureChecks,
      steps: limits.maxSteps - this.#steps,
    };
  }

  #refuse(what: string): false {
    this.exhausted ??= what;
    return false;
  }
}
