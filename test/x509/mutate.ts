/** A number from 0 up to 1, the next one of a sequence. */
export type Random = () => number;

/** The same numbers for the same seed (mulberry32), so that what a fuzz run found can be found again. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Octets that have a meaning in a header, a length, a number or a time. */
const TELLING = [
  0x00, 0x01, 0x02, 0x03, 0x1f, 0x20, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xa0, 0xa3, 0xff,
];

/** One to four changes: to the octets as such, or to the values in them with all lengths put right afterwards. */
export function mutate(octets: Uint8Array, others: readonly Uint8Array[], random: Random): Buffer {
  let result: Buffer = Buffer.from(octets);
  for (let left = 1 + below(random, 4); left > 0; left -= 1) {
    result = random() < 0.5 ? mutateOctets(result, others, random) : mutateTree(result, others, random);
  }
  return result;
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[below(random, items.length)];
}

function mutateOctets(octets: Buffer, others: readonly Uint8Array[], random: Random): Buffer {
  const at = below(random, octets.length + 1);
  const to = Math.min(octets.length, at + below(random, 9));
  const splice = (middle: Uint8Array, end = to) =>
    Buffer.concat([octets.subarray(0, at), middle, octets.subarray(end)]);
  switch (below(random, 7)) {
    case 0:
      return splice(Buffer.of((octets[at] ?? 0) ^ (1 << below(random, 8))), at + 1);
    case 1:
      return splice(Buffer.of(pick(random, TELLING) ?? 0), at + 1);
    case 2:
      return splice(Buffer.alloc(0));
    case 3:
      return splice(Buffer.concat([octets.subarray(at, to), octets.subarray(at, to)]));
    case 4:
      return splice(Buffer.from(Array.from({ length: below(random, 5) }, () => below(random, 256))), at);
    case 5:
      return octets.subarray(0, at);
    default: {
      const other = pick(random, others) ?? octets;
      return splice(other.subarray(below(random, other.length)), octets.length);
    }
  }
}

/** A value, taken apart as far as it can be. */
interface Tree {
  tag: number;
  content: Buffer | Tree[];
}

function mutateTree(octets: Buffer, others: readonly Uint8Array[], random: Random): Buffer {
  const trees = takeApart(octets);
  if (!trees) return mutateOctets(octets, others, random);
  const lists = allLists(trees);
  const list = pick(random, lists) ?? trees;
  const at = below(random, list.length);
  const node = list[at];
  if (!node) return putTogether(trees);
  switch (below(random, 6)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.splice(at, 0, node);
      break;
    case 2:
      list.reverse();
      break;
    case 3:
      node.tag = random() < 0.5 ? (pick(random, TELLING) ?? 0) : node.tag ^ (1 << below(random, 8));
      break;
    case 4: {
      const lent = pick(random, allLists(takeApart(pick(random, others) ?? octets) ?? []));
      list[at] = (lent && pick(random, lent)) ?? node;
      break;
    }
    default:
      if (Buffer.isBuffer(node.content)) node.content = mutateOctets(node.content, others, random);
      else node.content = [{ tag: node.tag, content: node.content }];
  }
  return putTogether(trees);
}

function allLists(trees: Tree[]): Tree[][] {
  return [trees, ...trees.flatMap(({ content }) => (Buffer.isBuffer(content) ? [] : allLists(content)))];
}

/** The values of which the octets consist, if they do. */
function takeApart(octets: Uint8Array, depth = 0): Tree[] | undefined {
  const trees: Tree[] = [];
  for (let at = 0; at < octets.length; ) {
    const tag = octets[at] ?? 0;
    const first = octets[at + 1] ?? 0x80;
    const size = first < 0x80 ? 0 : first & 0x7f;
    if (size > 3 || first === 0x80) return undefined;
    let length = first;
    if (size > 0)
      length = octets.subarray(at + 2, at + 2 + size).reduce((sum, octet) => sum * 256 + octet, 0);
    const start = at + 2 + size;
    if (start + length > octets.length) return undefined;
    const content = Buffer.from(octets.subarray(start, start + length));
    const inner = (tag & 0x20) !== 0 && depth < 40 ? takeApart(content, depth + 1) : undefined;
    trees.push({ tag, content: inner ?? content });
    at = start + length;
  }
  return trees;
}

function putTogether(trees: readonly Tree[]): Buffer {
  return Buffer.concat(
    trees.map(({ tag, content }) => {
      const octets = Buffer.isBuffer(content) ? content : putTogether(content);
      const size = octets.length < 0x80 ? 0 : octets.length < 0x100 ? 1 : octets.length < 0x1_0000 ? 2 : 3;
      const header = Buffer.alloc(2 + size);
      header[0] = tag;
      header[1] = size === 0 ? octets.length : 0x80 | size;
      if (size > 0) header.writeUIntBE(octets.length, 2, size);
      return Buffer.concat([header, octets]);
    }),
  );
}
