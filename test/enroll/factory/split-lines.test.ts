import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BirthmarkError } from '../../../src/core/errors.ts';
import { splitLines } from '../../../src/enroll/factory/split-lines.ts';

const MAX = 20;

async function* pieces(stream: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  let start = 0;
  for (const cut of [...new Set(cuts)].sort((a, b) => a - b)) {
    if (cut <= start || cut >= stream.length) continue;
    yield stream.subarray(start, cut);
    start = cut;
  }
  yield stream.subarray(start);
}

async function split(stream: Buffer | string, cuts: readonly number[] = [], max = MAX): Promise<string[]> {
  const lines: string[] = [];
  for await (const group of splitLines(pieces(Buffer.from(stream), cuts), max)) {
    for (const line of group) lines.push(line instanceof BirthmarkError ? line.code : line.toString('utf8'));
  }
  return lines;
}

test('gives the same lines however the stream is cut', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', '"', '\r', 'ü', '€', '𝄞', ' '), maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      fc.boolean(),
      fc.array(fc.nat(200), { maxLength: 20 }),
      async (lines, ends, cuts) => {
        const text = lines.join('\n') + (ends && lines.length > 0 ? '\n' : '');
        const expected = (text === '' ? [] : text.replace(/\n$/, '').split('\n')).map((one) =>
          Buffer.byteLength(one) > MAX ? 'line-too-long' : one,
        );
        expect(await split(text, cuts)).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  );
});

describe('the end', () => {
  test.each([
    ['of nothing is no line', '', []],
    ['after a line feed is no line', 'a\n', ['a']],
    ['without a line feed ends a line', 'a\nb', ['a', 'b']],
    ['after two line feeds leaves an empty line', 'a\n\n', ['a', '']],
    ['of one line feed is one empty line', '\n', ['']],
  ])('%s', async (_title, text, lines) => {
    expect(await split(text)).toEqual(lines);
  });
});

test('keeps empty lines in the middle, and carriage returns for the reader of the line', async () => {
  expect(await split('a\r\n\r\n\nb\r\n')).toEqual(['a\r', '\r', '', 'b\r']);
});

test('a character that two pieces share arrives whole', async () => {
  expect(await split('𝄞\n', [1, 2, 3])).toEqual(['𝄞']);
});

describe('a line that is too long', () => {
  test.each([
    ['at the limit is kept', MAX, 'a'.repeat(MAX)],
    ['one octet above is refused in its place', MAX + 1, 'line-too-long'],
    ['far above is refused in its place', 100_000, 'line-too-long'],
  ])('%s', async (_title, length, expected) => {
    const text = `x\n${'a'.repeat(length)}\ny\n`;
    expect(await split(text)).toEqual(['x', expected, 'y']);
    expect(await split(text, [5, 10, 15, 21, 22, 23, 24, 25, 50])).toEqual(['x', expected, 'y']);
  });

  test('without an end is refused too', async () => {
    expect(await split(`x\n${'a'.repeat(50)}`, [10, 30])).toEqual(['x', 'line-too-long']);
  });

  test('of a gigabyte is not kept while it passes', async () => {
    const piece = Buffer.alloc(1024 * 1024, 0x61);
    async function* gigabyte() {
      for (let at = 0; at < 1024; at += 1) yield piece;
      yield Buffer.from('\nnext\n');
    }
    const before = process.memoryUsage().arrayBuffers;
    const lines: string[] = [];
    for await (const group of splitLines(gigabyte(), MAX)) {
      for (const line of group) lines.push(line instanceof BirthmarkError ? line.code : line.toString());
    }
    expect(lines).toEqual(['line-too-long', 'next']);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});

test('gives the lines of a piece before it asks for the next one', async () => {
  let asked = 0;
  async function* source() {
    for (;;) {
      asked += 1;
      yield Buffer.from('a\nb\n');
    }
  }
  const groups = splitLines(source(), MAX);
  expect((await groups.next()).value).toHaveLength(2);
  expect(asked).toBe(1);
  await groups.return(undefined);
});
