import type { CredentialId } from '../credential.ts';
import type { Identity } from '../decide.ts';
import type { Behaviour } from '../ports.ts';
import { RecentMap } from './recent-map.ts';
import { kindOf, type WhoKind } from './who.ts';

/** Somebody who is restrained, by one rule. */
export interface Block {
  /** `device:NAMESPACE/ID`, `certificate:ISSUERKEYID/SERIAL` of one that is no good any more, or `address:ADDRESS`. */
  readonly who: string;
  readonly rule: string;
  readonly behaviour: Behaviour;
  readonly reaction: 'throttle' | 'block' | 'quarantine';
  /** Where it holds; everywhere where absent. */
  readonly listeners?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** A quarantine has no end. */
  readonly until?: number;
  /** Of throttle: one is let through in each such step. */
  readonly stepMs?: number;
  /** What was counted when it began. */
  readonly count: number;
  /** Where the last of it was seen. */
  readonly listener: string;
  /** Of a device. */
  readonly identity?: Identity;
  /** What it showed: by this it is denied where nobody is asked, and told to the authority. */
  readonly credential?: Omit<CredentialId, 'octets'>;
  /** Of quarantine: the authority has said that it knows. */
  readonly told?: true;
}

/** Who is restrained. Of each kind by itself, so that a flood of addresses pushes no device out. */
export class BlockList {
  readonly #byKind: Readonly<Record<WhoKind, RecentMap<readonly Block[]>>>;

  /** @param max beyond so many of a kind, those that were looked at last stay */
  constructor(max: number) {
    const newList = () => new RecentMap<readonly Block[]>(max);
    this.#byKind = { device: newList(), certificate: newList(), address: newList() };
  }

  /** Those in force. */
  of(who: string, at: number): readonly Block[] {
    const list = this.#byKind[kindOf(who)];
    const known = list.get(who);
    if (!known) return [];
    const left = known.filter((block) => isInForce(block, at));
    if (left.length === known.length) return known;
    if (left.length === 0) list.delete(who);
    else list.set(who, left);
    return left;
  }

  /** A rule has one for each. */
  put(block: Block): void {
    const list = this.#byKind[kindOf(block.who)];
    const others = (list.get(block.who) ?? []).filter(({ rule }) => rule !== block.rule);
    list.set(block.who, [...others, block]);
  }

  /** All in force, the oldest first. */
  all(at: number): readonly Block[] {
    return Object.values(this.#byKind)
      .flatMap((list) => [...list.entries()].flatMap(([, blocks]) => blocks))
      .filter((block) => isInForce(block, at))
      .toSorted((one, other) => one.since - other.since);
  }

  remove(who: string): readonly Block[] {
    const list = this.#byKind[kindOf(who)];
    const removed = list.get(who) ?? [];
    list.delete(who);
    return removed;
  }

  /** Lets go of those that have ended. */
  sweep(at: number): boolean {
    let isChanged = false;
    for (const list of Object.values(this.#byKind))
      for (const [who, blocks] of [...list.entries()]) {
        const left = blocks.filter((block) => isInForce(block, at));
        if (left.length === blocks.length) continue;
        isChanged = true;
        if (left.length === 0) list.delete(who);
        else list.set(who, left);
      }
    return isChanged;
  }
}

function isInForce({ until }: Block, at: number): boolean {
  return until === undefined || at < until;
}
