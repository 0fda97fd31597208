import { BlockList } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Identity } from '../decide.ts';
import type { Behaviour, BehaviourGuard, Origin, Restraint } from '../ports.ts';
import type { GuardRule, GuardRules } from './parse-guard.ts';
import { SlidingCount } from './sliding-count.ts';

/** Somebody who is restrained: a device where that was proven, an address otherwise. */
export interface Block {
  /** `device:NAMESPACE/ID`, `certificate:ISSUERKEYID/SERIAL` of one that is no good any more, or `address:ADDRESS`. */
  readonly who: string;
  readonly rule: string;
  readonly reaction: 'throttle' | 'block' | 'quarantine';
  /** Milliseconds since the epoch; a quarantine has no end. */
  readonly since: number;
  readonly until: number;
  /** What was counted when it began. */
  readonly count: number;
}

/** What a rule asks for beside restraint. */
export interface Reaction {
  readonly rule: GuardRule;
  readonly who: string;
  readonly origin: Origin;
  readonly count: number;
  /** The breaker is open: nothing was restrained. */
  readonly held: boolean;
}

export interface Guard extends BehaviourGuard {
  /** All that are in force, for people. */
  blocks(at: number): readonly Block[];
  /** Lifts the restraint; false where there is none. */
  lift(who: string): boolean;
}

export interface GuardOptions {
  readonly rules: GuardRules;
  /** Told when a rule is broken, once a block, and once a window of what restrains nobody: to log, to end the sessions of a device, to raise an incident. */
  readonly onReaction: (reaction: Reaction) => void;
}

/** What is remembered of so many, the ones seen last; so a flood of addresses cannot fill the memory. */
const REMEMBERED = 100_000;
const BREAKER_WINDOW_MS = 600_000;
const COUNT_EVERY_MS = 1000;

/**
 * Watches behaviour by rules (MQTT 3.1.1 §5.4.8). A failure counts against a device only when the handshake proved it was that
 * device; else it counts against the address, so nobody can have a victim blocked by using its name.
 */
export function createGuard({ rules: { rules, exempt, breaker }, onReaction }: GuardOptions): Guard {
  const counts = new LRUCache<string, SlidingCount>({ max: REMEMBERED });
  const blocked = new LRUCache<string, Block>({ max: REMEMBERED });
  const lastThrough = new LRUCache<string, number>({ max: REMEMBERED });
  const seen = new LRUCache<string, number>({ max: REMEMBERED });
  /** When somebody was last told of, who is not restrained by that. */
  const told = new LRUCache<string, number>({ max: REMEMBERED });
  const exempted = addressList(exempt);
  /** Of the breaker's window, counted anew each second: both are long lists. */
  let [restrained, recent, countedAt] = [0, 0, Number.NEGATIVE_INFINITY];

  function inForce(who: string, at: number): Block | undefined {
    const block = blocked.get(who);
    if (!block || at < block.until) return block;
    blocked.delete(who);
    return undefined;
  }

  function react(rule: GuardRule, who: string, origin: Origin, count: number, at: number): void {
    const { reaction } = rule;
    const restrains = reaction === 'throttle' || reaction === 'block' || reaction === 'quarantine';
    if (restrains && inForce(who, at)) return;
    const held = restrains && isOutage(at);
    if (restrains && !held) {
      blocked.set(who, { who, rule: rule.name, reaction, since: at, until: endOfRestraint(rule, at), count });
      restrained += 1;
    } else if (reaction !== 'disconnect' && wasTold(`${rule.name}\n${who}`, rule, at)) return;
    onReaction({ rule, who, origin, count, held });
  }

  /** Once a window: nobody fills a log with what he does again and again. */
  function wasTold(key: string, { withinMs }: GuardRule, at: number): boolean {
    const last = told.get(key);
    if (last !== undefined && at >= last && at - last < withinMs) return true;
    told.set(key, at);
    return false;
  }

  /** After an outage a whole fleet fails and comes again at once. */
  function isOutage(at: number): boolean {
    if (at < countedAt || at - countedAt >= COUNT_EVERY_MS) {
      [restrained, recent, countedAt] = [0, 0, at];
      for (const { since } of blocked.values()) if (at - since < BREAKER_WINDOW_MS) restrained += 1;
      for (const last of seen.values()) if (at - last < BREAKER_WINDOW_MS) recent += 1;
    }
    return restrained + 1 > breaker.moreThan && restrained + 1 > recent * breaker.part;
  }

  function see(who: string, at: number): void {
    const last = seen.get(who);
    if (last === undefined || at - last >= BREAKER_WINDOW_MS) recent += 1;
    seen.set(who, at);
  }

  return {
    restraint(origin, _listener, at): Restraint | undefined {
      if (exempted(origin.address)) return undefined;
      const who = whoIs(origin);
      const block = inForce(who, at);
      if (!block) return undefined;
      const detail = `${who}: rule ${block.rule} counted ${block.count} at ${new Date(block.since).toISOString()}; ${endOf(block)}`;
      if (block.reaction !== 'throttle') return { reason: 'blocked', detail };
      const rule = rules.find(({ name }) => name === block.rule);
      const last = lastThrough.get(who);
      if (last !== undefined && rule && at - last < rule.forMs) return { reason: 'throttled', detail };
      lastThrough.set(who, at);
      return undefined;
    },
    note(behaviour, origin, listener, at, topic) {
      if (exempted(origin.address)) return;
      const who = whoIs(origin);
      see(who, at);
      for (const rule of rules) {
        if (rule.behaviour !== behaviour || rule.listeners?.includes(listener) === false) continue;
        const key = `${rule.name}\n${who}`;
        const count = counts.get(key) ?? new SlidingCount(rule.withinMs);
        counts.set(key, count);
        const counted = count.add(at, rule.moreThan, countsTopics(behaviour) ? topic : undefined);
        if (counted > rule.moreThan) react(rule, who, origin, counted, at);
      }
    },
    blocks: (at) => [...blocked.values()].filter(({ until }) => at < until),
    lift: (who) => {
      countedAt = Number.NEGATIVE_INFINITY;
      return blocked.delete(who);
    },
  };
}

/** Scanning is many topics, not one topic often. */
function countsTopics(behaviour: Behaviour): boolean {
  return behaviour === 'topicDenied';
}

function whoIs({ address, identity, credential }: Origin): string {
  if (identity) return deviceKey(identity);
  if (credential) return `certificate:${credential.issuerKeyId}/${credential.serial}`;
  return `address:${networkOf(address)}`;
}

/** How the list of blocks names a device. */
function deviceKey({ namespace, id }: Identity): string {
  return `device:${namespace}/${id}`;
}

/** One subscriber has a whole /64 of IPv6: an address of it costs him nothing. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  const [head = '', tail = ''] = address.toLowerCase().split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::')
    ? new Array(Math.max(0, 8 - front.length - back.length)).fill('0')
    : [];
  const groups = [...front, ...zeros, ...back].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/64`;
}

/** A throttle lasts as long as what tripped it is remembered, and one step at least. */
function endOfRestraint({ reaction, forMs, withinMs }: GuardRule, at: number): number {
  if (reaction === 'quarantine') return Number.POSITIVE_INFINITY;
  return at + (reaction === 'throttle' ? Math.max(withinMs, forMs) : forMs);
}

function endOf({ until }: Block): string {
  return Number.isFinite(until) ? `until ${new Date(until).toISOString()}` : 'until a person lifts it';
}

function addressList(networks: GuardRules['exempt']): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, bits, family } of networks) list.addSubnet(address, bits, family);
  return (address) => networks.length > 0 && list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}
