import type { CredentialId } from '../../broker-auth/credential.ts';
import { createDecider, type Identity } from '../../broker-auth/decide.ts';
import type { DecisionStep } from '../../broker-auth/decision-steps.ts';
import { createCredentialJudge } from '../../broker-auth/judge-credential.ts';
import type { GatePolicy } from '../../broker-auth/policy.ts';
import type { KnownStatus, StatusSource } from '../../broker-auth/status-source.ts';
import { mayPublish, maySubscribe } from '../../broker-auth/topic-rules.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';

export interface Question {
  /** DER, the leaf first. */
  readonly certificates: readonly Uint8Array[];
  readonly clientId: string;
  /** As the policy names it. */
  readonly listener: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  readonly at: number;
}

export interface Explanation {
  readonly allowed: boolean;
  readonly steps: readonly {
    readonly rule: DecisionStep['rule'] | 'guard' | 'publish' | 'subscribe';
    readonly detail: string;
  }[];
  readonly refused?: { readonly rule: string; readonly detail: string };
}

/** Tells why the behaviour guard of a running gate restrains somebody there; undefined where it does not. */
export type AskGuard = (identity: Identity, listener: string) => string | undefined;

/** Finds out the status of a certificate; undefined where it is not known. */
export type AskStatus = (id: CredentialId) => Promise<KnownStatus | undefined>;

/**
 * Tells what a gate with these rules would say of a client, rule by rule.
 *
 * @param ask statuses, from who knows them or by asking, and the guard of a running gate: what is not given is not looked at
 * @throws BirthmarkError `not-found` where the policy has no such listener
 */
export async function explain(
  policy: GatePolicy,
  question: Question,
  random: RandomBytes,
  ask: {
    readonly askStatus?: AskStatus | undefined;
    readonly sources?: readonly StatusSource[] | undefined;
    readonly askGuard?: AskGuard | undefined;
  } = {},
): Promise<Explanation> {
  const { askStatus, sources, askGuard } = ask;
  const { clientId, listener: name, at } = question;
  const [leaf = new Uint8Array(0), ...chain] = question.certificates;
  const listener = policy.listeners.get(name);
  if (!listener)
    throw new BirthmarkError(
      'not-found',
      `the policy has no listener ${name}; there are ${[...policy.listeners.keys()].join(', ')}`,
    );
  const unasked = { ...listener, status: 'off' as const };
  const known = new Map<string, KnownStatus>();
  if (askStatus && listener.status !== 'off') {
    const { credential } = createCredentialJudge({ trust: policy.trust, sources: [] })(
      leaf,
      chain,
      unasked,
      at,
    );
    for (const id of credential?.path ?? []) {
      const asked: ReturnType<AskStatus> = askStatus(id);
      const status = await asked;
      if (status) known.set(`${id.issuerKeyId}/${id.serial}`, status);
    }
  }
  const asked = {
    name: 'feed' as const,
    statusOf: ({ issuerKeyId, serial }: CredentialId) => known.get(`${issuerKeyId}/${serial}`),
  };
  const decide = createDecider({
    policy: askStatus || sources ? policy : { ...policy, listeners: new Map([[name, unasked]]) },
    judge: createCredentialJudge({
      trust: policy.trust,
      sources: sources ?? [asked],
    }),
    hasOtherSession: () => false,
    random,
  });
  const steps: Explanation['steps'][number][] = [];
  const evidence = { level: 'certificate', leaf, chain } as const;
  const verdict = decide({ listener: name, clientId, evidence }, at, (step) => steps.push(step));
  if (!verdict.allow)
    return { allowed: false, steps, refused: { rule: verdict.reason, detail: verdict.detail } };
  const restraint = askGuard?.(verdict.identity, name);
  if (restraint !== undefined)
    return { allowed: false, steps, refused: { rule: 'guard', detail: restraint } };
  if (askGuard) steps.push({ rule: 'guard', detail: 'the behaviour guard does not restrain it' });
  for (const [rule, topics, may] of [
    ['publish', question.publish, mayPublish],
    ['subscribe', question.subscribe, maySubscribe],
  ] as const)
    for (const topic of topics) {
      if (!may(verdict.permissions, topic))
        return {
          allowed: false,
          steps,
          refused: { rule, detail: `role ${verdict.role} does not allow ${topic}` },
        };
      steps.push({ rule, detail: topic });
    }
  return { allowed: true, steps };
}
