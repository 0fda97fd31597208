import { describe, expect, it } from 'vitest';
import { checkPublicKey } from '../../../src/ca/key-policy/check-public-key.ts';
import { modPow, opensslEd25519Key, POLICY, refusal, toBytes } from './sample-keys.ts';

// edwards25519, RFC 8032 §5.1: −x² + y² = 1 + d·x²·y² modulo p, with 8·L points.
const P = 2n ** 255n - 19n;
const D = mod(-121665n * inverse(121666n));
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const NEUTRAL: Point = { x: 0n, y: 1n };

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

describe('Ed25519 keys', () => {
  it('accepts keys that OpenSSL made', async () => {
    const keys = await Promise.all([1, 2, 3, 4].map(() => opensslEd25519Key()));
    expect(keys.map((key) => refusal(key))).toEqual(keys.map(() => undefined));
  });

  const generator = pointOfOrder8();
  const smallOrder = Array.from({ length: 8 }, (_, n) => multiply(BigInt(n), generator));
  const canonical = smallOrder.map(({ x, y }) => encode(y, x & 1n));

  it('refuses all eight points of small order', () => {
    expect(new Set(canonical.map((key) => key.toString('hex'))).size).toBe(8);
    for (const key of canonical) {
      const finding = checkPublicKey({ kind: 'ed25519', key }, POLICY);
      expect(finding?.code).toBe('key-point-invalid');
      expect(finding?.detail).toContain('small order');
    }
  });

  it('refuses the six other encodings of these points', () => {
    const signOfZero = smallOrder.filter(({ x }) => x === 0n).map(({ y }) => encode(y, 1n));
    const notReduced = [0n, 1n].flatMap((y) => [encode(y + P, 0n), encode(y + P, 1n)]);
    const keys = [...signOfZero, ...notReduced];
    expect(keys).toHaveLength(6);
    expect(keys.map((key) => refusal({ kind: 'ed25519', key }))).toEqual(keys.map(() => 'key-point-invalid'));
  });

  it('refuses all zeros and all ones', () => {
    for (const octet of [0, 0xff]) {
      expect(refusal({ kind: 'ed25519', key: new Uint8Array(32).fill(octet) })).toBe('key-point-invalid');
    }
  });

  it('refuses any y that is not below p, and accepts the same y reduced', () => {
    for (let y = 2n; y < 19n; y++) {
      expect(refusal({ kind: 'ed25519', key: encode(y + P, 0n) })).toBe('key-point-invalid');
      expect(refusal({ kind: 'ed25519', key: encode(y, 0n) })).toBeUndefined();
    }
  });

  it('accepts a point of small order shifted by a good one: its order is not small', () => {
    // 4/5 is the y of the base point (RFC 8032 §5.1).
    const base = decode(mod(4n * inverse(5n)));
    const shifted = add(base ?? NEUTRAL, generator);
    expect(refusal({ kind: 'ed25519', key: encode(shifted.y, shifted.x & 1n) })).toBeUndefined();
  });

  it('refuses a key of another length', async () => {
    const { key } = await opensslEd25519Key();
    expect(refusal({ kind: 'ed25519', key: key.subarray(0, 31) })).toBe('key-point-invalid');
    expect(refusal({ kind: 'ed25519', key: Buffer.concat([key, Buffer.of(0)]) })).toBe('key-point-invalid');
  });

  it('checks the point also where a library imported it, for libraries import points of small order', () => {
    const finding = checkPublicKey({ kind: 'ed25519', key: new Uint8Array(32) }, POLICY, {
      pointProven: true,
    });
    expect(finding?.code).toBe('key-point-invalid');
  });
});

/** L times any point has an order that divides 8; every second point leads to order 8 itself. */
function pointOfOrder8(): Point {
  for (let y = 2n; ; y++) {
    const point = decode(y);
    if (point === undefined) continue;
    const candidate = multiply(L, point);
    if (multiply(4n, candidate).y !== 1n) return candidate;
  }
}

/** The point with this y and the even x, if there is one. p ≡ 5 mod 8, so the root has one of two forms. */
function decode(y: bigint): Point | undefined {
  const xSquared = mod((y * y - 1n) * inverse(D * y * y + 1n));
  const root = modPow(xSquared, (P + 3n) / 8n, P);
  const candidates = [root, mod(root * modPow(2n, (P - 1n) / 4n, P))];
  const x = candidates.find((candidate) => mod(candidate * candidate) === xSquared);
  if (x === undefined) return undefined;
  return { x: x % 2n === 0n ? x : P - x, y };
}

function add(a: Point, b: Point): Point {
  const shared = mod(D * a.x * b.x * a.y * b.y);
  return {
    x: mod((a.x * b.y + b.x * a.y) * inverse(1n + shared)),
    y: mod((a.y * b.y + a.x * b.x) * inverse(1n - shared)),
  };
}

function multiply(scalar: bigint, point: Point): Point {
  let sum = NEUTRAL;
  let doubled = point;
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, doubled);
    doubled = add(doubled, doubled);
  }
  return sum;
}

function encode(y: bigint, sign: bigint): Buffer {
  return toBytes(y | (sign << 255n), 32).reverse();
}

function inverse(n: bigint): bigint {
  return modPow(mod(n), P - 2n, P);
}

function mod(n: bigint): bigint {
  return ((n % P) + P) % P;
}
