import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { newSecret, readSecret } from '../../src/enroll/secret.ts';
import { seededRandom } from '../house.ts';

test.each(['bmk', 'bmt'] as const)('a new %s is read back, matches its hash and no other', (kind) => {
  const random = seededRandom();
  const [made, other] = [newSecret(kind, random), newSecret(kind, random)];
  const read = readSecret(made.text);
  expect(read).toMatchObject({ kind, id: made.id });
  expect(read?.matches(made.secretHash)).toBe(true);
  expect(read?.matches(other.secretHash)).toBe(false);
  expect(read?.matches(made.secretHash.subarray(1))).toBe(false);
  expect(read?.matches(new Uint8Array())).toBe(false);
});

test('what is kept does not give the secret away', () => {
  const { id, text, secretHash } = newSecret('bmk', seededRandom());
  const secret = text.slice('bmk_'.length + id.length + 1);
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  expect(Buffer.from(secretHash)).toEqual(hash('sha256', secret, 'buffer'));
  expect(id).not.toContain(secret.slice(0, 4));
});

test('all of its octets come from the source that was given', () => {
  const asked: number[] = [];
  const { text } = newSecret('bmt', (size) => {
    asked.push(size);
    return new Uint8Array(size).fill(0xff);
  });
  expect(asked).toEqual([8, 32]);
  expect(text).toBe(`bmt_${'f'.repeat(16)}_${'_'.repeat(42)}8`);
});

describe('is no secret of ours:', () => {
  const { text } = newSecret('bmk', seededRandom());

  test.each([
    ['nothing', ''],
    ['another prefix', text.replace('bmk', 'bmx')],
    ['a capital in the id', text.replace(/_[0-9a-f]{16}/, (id) => id.toUpperCase().replace(/[0-9]/, 'A'))],
    ['a character more', `${text}A`],
    ['a character less', text.slice(0, -1)],
    ['a line feed behind', `${text}\n`],
    ['a space in front', ` ${text}`],
    ['base64 that is not for URLs', `${text.slice(0, -1)}+`],
  ])('%s', (_title, presented) => {
    expect(readSecret(presented)).toBeUndefined();
  });
});

test('hashes are compared in constant time', () => {
  const code = readFileSync(new URL('../../src/enroll/secret.ts', import.meta.url), 'utf8');
  expect(code).toContain('timingSafeEqual(');
  expect(code).not.toMatch(/equalBytes|secretHash\s*===|\.equals\(/);
});
