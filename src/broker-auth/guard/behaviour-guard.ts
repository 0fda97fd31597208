import type { Behaviour, BehaviourGuard, Origin, Restraint } from '../ports.ts';
import { type Block, BlockList } from './block-list.ts';
import { createBreaker } from './breaker.ts';
import { createExemption } from './exemption.ts';
import type { GuardRule, GuardRules } from './parse-guard.ts';
import { RecentMap } from './recent-map.ts';
import { SlidingCount } from './sliding-count.ts';
import { kindOf, type WhoKind, whoIs } from './who.ts';

/** What a rule asks for beside restraint. */
export interface Reaction {
  readonly rule: GuardRule;
  readonly who: string;
  readonly origin: Origin;
  readonly listener: string;
  readonly count: number;
  /** The restraint that begins. */
  readonly block?: Block;
  /** The breaker is open: nothing was restrained. */
  readonly held: boolean;
}

export interface Guard extends BehaviourGuard {
  /** All that are in force, for people. */
  blocks(at: number): readonly Block[];
  /** Lifts what restrains somebody, and forgets what was counted; gives what that was. */
  lift(who: string): readonly Block[];
  /** The authority knows of that quarantine. */
  markTold(block: Block): void;
  /** The authority itself keeps him out from now on, until it says otherwise. */
  handOver(who: string): void;
  /** Lets go of what has ended: to be called now and then. */
  tick(at: number): void;
}

export interface GuardOptions {
  readonly rules: GuardRules;
  /** Told when a rule is broken, once a block, and once a window of what restrains nobody: to log, to end the sessions of a device, to raise an incident. */
  readonly onReaction: (reaction: Reaction) => void;
  /** Those that held when it stopped. */
  readonly kept?: readonly Block[];
  /** Told when the list of blocks is another one. */
  readonly onChange?: () => void;
  /** So many of a kind are remembered, the ones seen last: a flood of addresses cannot fill the memory. 100,000 by default. */
  readonly remembered?: number;
}

const REMEMBERED = 100_000;

/**
 * Watches behaviour by rules (MQTT 3.1.1 §5.4.8). A failure counts against a device only when the handshake proved it was that
 * device; else it counts against the address, so nobody can have a victim blocked by using its name.
 */
export function createGuard(options: GuardOptions): Guard {
  const { rules, exempt, breaker: limits } = options.rules;
  const { onReaction, kept = [], onChange, remembered: max = REMEMBERED } = options;
  const counts: Readonly<Record<WhoKind, RecentMap<SlidingCount>>> = {
    device: new RecentMap(max),
    certificate: new RecentMap(max),
    address: new RecentMap(max),
  };
  const lastThrough = new RecentMap<number>(max);
  /** When somebody was last told of, who is not restrained by that. */
  const told = new RecentMap<number>(max);
  const blocks = new BlockList(max);
  const breaker = createBreaker(limits, max);
  const isExempt = createExemption(exempt);
  for (const block of kept) {
    blocks.put(block);
    breaker.restrained(block.who, block.since);
  }

  function restrainingOf(who: string, listener: string, at: number): Block | undefined {
    const here = blocks.of(who, at).filter((block) => block.listeners?.includes(listener) ?? true);
    return here.find(({ reaction }) => reaction !== 'throttle') ?? here[0];
  }

  function react(
    rule: GuardRule,
    who: string,
    origin: Origin,
    listener: string,
    count: number,
    at: number,
  ): void {
    const { reaction } = rule;
    const reacted = { rule, who, origin, listener, count };
    if (reaction === 'log' || reaction === 'disconnect') {
      if (reaction === 'disconnect' || !wasTold(rule, who, at)) onReaction({ ...reacted, held: false });
      return;
    }
    if (blocks.of(who, at).some((block) => block.rule === rule.name)) return;
    if (breaker.isOutage(who, at)) {
      if (!wasTold(rule, who, at)) onReaction({ ...reacted, held: true });
      return;
    }
    const block = toBlock(reacted, reaction, at);
    blocks.put(block);
    breaker.restrained(who, at);
    // Else what is counted already would begin the next one as soon as this one ends.
    counts[kindOf(who)].get(keyOf(rule, who))?.reset();
    onReaction({ ...reacted, block, held: false });
    onChange?.();
  }

  /** Once a window: nobody fills a log with what he does again and again. */
  function wasTold(rule: GuardRule, who: string, at: number): boolean {
    const key = keyOf(rule, who);
    const last = told.get(key);
    if (last !== undefined && at >= last && at - last < rule.withinMs) return true;
    told.set(key, at);
    return false;
  }

  function watching(behaviour: Behaviour, listener: string): readonly GuardRule[] {
    return rules.filter(
      (rule) => rule.behaviour === behaviour && (rule.listeners?.includes(listener) ?? true),
    );
  }

  function letGo(who: string): readonly Block[] {
    const lifted = blocks.remove(who);
    for (const rule of rules) {
      counts[kindOf(who)].get(keyOf(rule, who))?.reset();
      told.delete(keyOf(rule, who));
    }
    lastThrough.delete(who);
    if (lifted.length > 0) onChange?.();
    return lifted;
  }

  return {
    restraint(origin, listener, at): Restraint | undefined {
      if (isExempt(origin)) return undefined;
      const who = whoIs(origin);
      const block = restrainingOf(who, listener, at);
      if (!block) return undefined;
      const { rule, count, since, reaction, stepMs = 0 } = block;
      const detail = `${who}: rule ${rule} counted ${count} at ${new Date(since).toISOString()}; ${endOf(block)}`;
      if (reaction !== 'throttle') return { reason: 'blocked', detail };
      const last = lastThrough.get(who);
      if (last !== undefined && at >= last && at - last < stepMs) return { reason: 'throttled', detail };
      lastThrough.set(who, at);
      return undefined;
    },
    note(behaviour, origin, listener, at, topic) {
      if (isExempt(origin)) return;
      const who = whoIs(origin);
      breaker.see(who, at);
      if (!countsAgainst(kindOf(who), behaviour)) return;
      const known = counts[kindOf(who)];
      for (const rule of watching(behaviour, listener)) {
        const key = keyOf(rule, who);
        const count = known.get(key) ?? new SlidingCount(rule.withinMs);
        known.set(key, count);
        const counted = count.add(at, rule.moreThan, countsTopics(behaviour) ? topic : undefined);
        if (counted > rule.moreThan) react(rule, who, origin, listener, counted, at);
      }
    },
    quiet(origin, listener, at, quietMs) {
      if (isExempt(origin) || !countsAgainst(kindOf(whoIs(origin)), 'silent')) return;
      for (const rule of watching('silent', listener))
        if (quietMs >= rule.withinMs) react(rule, whoIs(origin), origin, listener, 1, at);
    },
    isBlocked: (origin, listener, at) => {
      const block = isExempt(origin) ? undefined : restrainingOf(whoIs(origin), listener, at);
      return block !== undefined && block.reaction !== 'throttle';
    },
    blockedDevices: (listener, at) =>
      blocks.all(at).flatMap(({ identity, credential, reaction, listeners }) => {
        const isHere = reaction !== 'throttle' && (listeners?.includes(listener) ?? true);
        return isHere && identity && credential ? [{ identity, credential }] : [];
      }),
    watches: (behaviour, listener) => watching(behaviour, listener).length > 0,
    blocks: (at) => blocks.all(at),
    lift(who) {
      breaker.forget(who);
      return letGo(who);
    },
    handOver: (who) => void letGo(who),
    markTold(block) {
      if (
        !blocks.of(block.who, block.since).some((one) => one.rule === block.rule && one.since === block.since)
      )
        return;
      blocks.put({ ...block, told: true });
      onChange?.();
    },
    tick(at) {
      if (blocks.sweep(at)) onChange?.();
    },
  };
}

function keyOf({ name }: GuardRule, who: string): string {
  return `${name}\n${who}`;
}

/** Many devices may stand behind an address: that they connect, lose their connection or say nothing is none of its doing. */
function countsAgainst(kind: WhoKind, behaviour: Behaviour): boolean {
  return kind !== 'address' || behaviour === 'authenticationFailed' || behaviour === 'topicDenied';
}

/** Scanning is many topics, not one topic often. */
function countsTopics(behaviour: Behaviour): boolean {
  return behaviour === 'topicDenied';
}

/** Nobody can say later that an address, or a certificate that is no good, behaves again: they are blocked for a time. */
function toBlock(
  { rule, who, origin: { identity, credential }, listener, count }: Omit<Reaction, 'held'>,
  asked: Block['reaction'],
  at: number,
): Block {
  const reaction = asked === 'quarantine' && !identity ? 'block' : asked;
  const { name, behaviour, listeners, forMs, withinMs } = rule;
  // A throttle lasts as long as what tripped it is remembered, and one step at least.
  const lastsMs = reaction === 'throttle' ? Math.max(withinMs, forMs) : forMs;
  return {
    ...{ who, rule: name, behaviour, reaction, since: at, count, listener },
    ...(listeners && { listeners }),
    ...(reaction !== 'quarantine' && { until: at + lastsMs }),
    ...(reaction === 'throttle' && { stepMs: forMs }),
    ...(identity && { identity }),
    ...(credential && { credential }),
  };
}

function endOf({ until }: Block): string {
  return until === undefined ? 'until a person lifts it' : `until ${new Date(until).toISOString()}`;
}
