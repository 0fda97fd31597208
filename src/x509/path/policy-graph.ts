import type { CertificateRules } from './certificate-rules.ts';
import { ANY_POLICY } from './read-policies.ts';

/** The inputs of RFC 5280 §6.1.1 (c), (e), (f), (g). */
export interface PolicyInputs {
  /** user-initial-policy-set; anyPolicy in it stands for every policy. */
  readonly initialPolicySet: readonly string[];
  readonly initialExplicitPolicy: boolean;
  readonly initialPolicyMappingInhibit: boolean;
  readonly initialAnyPolicyInhibit: boolean;
}

export const ANY_POLICY_INPUTS: PolicyInputs = {
  initialPolicySet: [ANY_POLICY],
  initialExplicitPolicy: false,
  initialPolicyMappingInhibit: false,
  initialAnyPolicyInhibit: false,
};

/** A policy at one depth of the graph (RFC 9618 §5.1). */
interface Node {
  readonly policy: string;
  readonly parents: readonly Node[];
  expected: ReadonlySet<string>;
}

/** Nodes of one depth by policy; empty where the graph is NULL. */
type Level = Map<string, Node>;

/** What of a certificate the policies need. */
export interface PolicyStep {
  readonly rules: CertificateRules;
  readonly selfIssued: boolean;
}

/**
 * Whether the policies of a path hold (RFC 5280 §6.1.2 to §6.1.5 with the graph of RFC 9618, which grows with the sum of
 * the policies where the tree grew with their product). Nodes without children are not taken away: nothing reads a depth
 * but the last, and it is reached from below.
 *
 * @param steps certificates from the one under the anchor to the leaf
 */
export function policiesHold(steps: readonly PolicyStep[], inputs: PolicyInputs): boolean {
  const untilZero = steps.length + 1;
  let explicitPolicy = inputs.initialExplicitPolicy ? 0 : untilZero;
  let policyMapping = inputs.initialPolicyMappingInhibit ? 0 : untilZero;
  let inhibitAnyPolicy = inputs.initialAnyPolicyInhibit ? 0 : untilZero;
  let level: Level = new Map([[ANY_POLICY, node(ANY_POLICY, [])]]);
  for (const [at, { rules, selfIssued }] of steps.entries()) {
    const last = at === steps.length - 1;
    const anyAllowed = inhibitAnyPolicy > 0 || (!last && selfIssued);
    level = nextLevel(level, rules, anyAllowed);
    // RFC 5280 §6.1.3 (f).
    if (explicitPolicy === 0 && level.size === 0) return false;
    if (last) {
      // RFC 5280 §6.1.5 (a), (b).
      if (explicitPolicy > 0) explicitPolicy -= 1;
      if (rules.requireExplicitPolicy === 0) explicitPolicy = 0;
      continue;
    }
    applyMappings(level, rules.policyMappings, policyMapping > 0);
    // RFC 5280 §6.1.4 (h) to (j).
    if (!selfIssued) {
      explicitPolicy = Math.max(0, explicitPolicy - 1);
      policyMapping = Math.max(0, policyMapping - 1);
      inhibitAnyPolicy = Math.max(0, inhibitAnyPolicy - 1);
    }
    explicitPolicy = Math.min(explicitPolicy, rules.requireExplicitPolicy ?? untilZero);
    policyMapping = Math.min(policyMapping, rules.inhibitPolicyMapping ?? untilZero);
    inhibitAnyPolicy = Math.min(inhibitAnyPolicy, rules.inhibitAnyPolicy ?? untilZero);
  }
  // RFC 5280 §6.1.5 (g) and the last paragraph.
  return explicitPolicy > 0 || meetsInitialSet(level, inputs.initialPolicySet);
}

function node(policy: string, parents: readonly Node[]): Node {
  return { policy, parents, expected: new Set([policy]) };
}

/** RFC 9618 §5.3: steps (d) and (e) of RFC 5280 §6.1.3. */
function nextLevel(before: Level, { policies }: CertificateRules, anyAllowed: boolean): Level {
  const level: Level = new Map();
  if (!policies) return level;
  const expecting = new Map<string, Node[]>();
  for (const parent of before.values()) {
    for (const policy of parent.expected) {
      const parents = expecting.get(policy);
      if (parents) parents.push(parent);
      else expecting.set(policy, [parent]);
    }
  }
  const any = before.get(ANY_POLICY);
  for (const policy of policies.policies) {
    if (policy === ANY_POLICY) continue;
    const parents = expecting.get(policy) ?? (any ? [any] : []);
    if (parents.length > 0) level.set(policy, node(policy, parents));
  }
  if (anyAllowed && policies.policies.includes(ANY_POLICY)) {
    for (const [policy, parents] of expecting)
      if (!level.has(policy)) level.set(policy, node(policy, parents));
  }
  return level;
}

/** RFC 9618 §5.4: step (b) of RFC 5280 §6.1.4. */
function applyMappings(
  level: Level,
  mappings: readonly (readonly [string, string])[],
  allowed: boolean,
): void {
  const subjects = new Map<string, Set<string>>();
  for (const [issuerPolicy, subjectPolicy] of mappings) {
    const set = subjects.get(issuerPolicy);
    if (set) set.add(subjectPolicy);
    else subjects.set(issuerPolicy, new Set([subjectPolicy]));
  }
  const anyNode = level.get(ANY_POLICY);
  for (const [issuerPolicy, expected] of subjects) {
    const mapped = level.get(issuerPolicy);
    if (!allowed) level.delete(issuerPolicy);
    else if (mapped) mapped.expected = expected;
    else if (anyNode) level.set(issuerPolicy, { policy: issuerPolicy, parents: anyNode.parents, expected });
  }
}

/** RFC 5280 §6.1.5 (g): whether a policy of the initial set is left at the depth of the leaf. */
function meetsInitialSet(level: Level, initial: readonly string[]): boolean {
  if (level.size === 0) return false;
  if (initial.includes(ANY_POLICY) || level.has(ANY_POLICY)) return true;
  // The policies in the words of the anchor's domain are those of the nodes right under an anyPolicy.
  const wanted = new Set(initial);
  const seen = new Set<Node>();
  const waiting = [...level.values()];
  for (let one = waiting.pop(); one; one = waiting.pop()) {
    if (seen.has(one)) continue;
    seen.add(one);
    if (one.parents.some(({ policy }) => policy === ANY_POLICY) && wanted.has(one.policy)) return true;
    waiting.push(...one.parents.filter(({ policy }) => policy !== ANY_POLICY));
  }
  return false;
}
