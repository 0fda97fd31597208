import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  coversFilter,
  isTopicName,
  matchesTopic,
  overlapsFilter,
  parseSubscription,
  parseTopicFilter,
} from '../../src/broker-auth/topic-filter.ts';

describe('what is a topic filter', () => {
  test.each(['#', '+', '/', 'a', 'a/#', '+/a/+', 'a//b', '$SYS/#', ' '])('reads %s', (text) => {
    expect(parseTopicFilter(text)).toEqual(text.split('/'));
  });
  test.each(['', 'a#', '#/a', 'a/#/b', 'a+', '+a/b', 'a/b+/c', 'nul\0', 'lone\ud800', 'a'.repeat(65_536)])(
    'refuses %j',
    (text) => {
      expect(parseTopicFilter(text)).toBeUndefined();
    },
  );
  test('knows a name by its having no wildcard', () => {
    expect(['a/b', '$SYS/x', '/'].filter(isTopicName)).toHaveLength(3);
    expect(['a/+', '#', '', 'a\0'].filter(isTopicName)).toEqual([]);
  });
});

describe('a shared subscription', () => {
  test('is judged by the filter in it', () => {
    expect(parseSubscription('$share/group/a/#')).toEqual(['a', '#']);
    expect(parseSubscription('a/#')).toEqual(['a', '#']);
  });
  test.each(['$share/', '$share/g', '$share//a', '$share/g+/a', '$share/#/a', '$share/g/', '$share/g/a#'])(
    'is refused as %s',
    (text) => {
      expect(parseSubscription(text)).toBeUndefined();
    },
  );
});

// The other judge: every topic of up to three levels out of a few words, each matched by a recursion after MQTT 5 §4.7.
const WORDS = ['a', 'b', '', '$x'];
const topics = [1, 2, 3].flatMap((levels) => combinations(levels, WORDS));
const filters = [1, 2, 3]
  .flatMap((levels) => combinations(levels, [...WORDS, '+', '#']))
  .filter((levels) => levels.slice(0, -1).every((level) => level !== '#'));

function combinations(length: number, words: readonly string[]): string[][] {
  if (length === 0) return [[]];
  return combinations(length - 1, words).flatMap((head) => words.map((word) => [...head, word]));
}

function matches(filter: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') && (filter[0] === '+' || filter[0] === '#')) return false;
  const walk = (at: number): boolean => {
    if (filter[at] === '#') return true;
    if (at === filter.length || at === topic.length) return filter.length === topic.length;
    return (filter[at] === '+' || filter[at] === topic[at]) && walk(at + 1);
  };
  return walk(0);
}

describe('the judgement of filters', () => {
  const anyFilter = fc.constantFrom(...filters);

  test('matches what an exhaustive matcher matches', () => {
    const wrong = filters.flatMap((filter) =>
      topics
        .filter((topic) => matchesTopic(filter, topic.join('/')) !== matches(filter, topic))
        .map((topic) => `${filter.join('/')} ${topic.join('/')}`),
    );
    expect(wrong).toEqual([]);
  });

  test('lets a filter cover another exactly where it matches all of its topics', () => {
    // "+" stands for words that no filter names, and "#" for more levels than any filter has.
    const more = [1, 2, 3, 4].flatMap((levels) => combinations(levels, [...WORDS, 'z']));
    fc.assert(
      fc.property(anyFilter, anyFilter, (outer, inner) => {
        const all = more.every((topic) => !matches(inner, topic) || matches(outer, topic));
        expect(coversFilter(outer, inner)).toBe(all);
      }),
      { numRuns: 3000 },
    );
  });

  test('sees an overlap exactly where a topic matches both', () => {
    fc.assert(
      fc.property(anyFilter, anyFilter, (one, other) => {
        const some = topics.some((topic) => matches(one, topic) && matches(other, topic));
        expect(overlapsFilter(one, other)).toBe(some);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['devices/1/#', 'devices/1', true],
    ['devices/1/#', 'devices/10/x', false],
    ['#', '$SYS/#', false],
    ['+/#', '#', true],
    ['+', '#', false],
    ['a/+', 'a/#', false],
    ['$SYS/#', '$SYS/+', true],
  ])('%s covers %s: %s', (outer, inner, verdict) => {
    expect(coversFilter(outer.split('/'), inner.split('/'))).toBe(verdict);
  });
});
