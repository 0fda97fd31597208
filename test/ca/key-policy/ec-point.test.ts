import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkPublicKey } from '../../../src/ca/key-policy/check-public-key.ts';
import type { Curve, EcKey } from './sample-keys.ts';
import { modPow, opensslEcKey, POLICY, refusal, toBytes } from './sample-keys.ts';

// p by its formula; b is found from a real point, so that a wrong constant in the code cannot hide.
const CURVES: readonly { readonly curve: Curve; readonly p: bigint; readonly octets: number }[] = [
  { curve: 'P-256', p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n, octets: 32 },
  { curve: 'P-384', p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n, octets: 48 },
  { curve: 'P-521', p: 2n ** 521n - 1n, octets: 66 },
];

describe.each(CURVES)('points on $curve', ({ curve, p, octets }) => {
  let key: EcKey;
  beforeAll(async () => {
    key = await opensslEcKey(curve);
  });

  const withPoint = (point: Uint8Array): EcKey => ({ ...key, point });
  const encode = (x: bigint, y: bigint): Buffer =>
    Buffer.concat([Buffer.of(4), toBytes(x, octets), toBytes(y, octets)]);
  const flipped = (bit: number): Buffer => {
    const point = Buffer.from(key.point);
    const octet = 1 + (bit >> 3);
    point.writeUInt8(point.readUInt8(octet) ^ (1 << (bit & 7)), octet);
    return point;
  };

  it('accepts keys that OpenSSL made', async () => {
    const keys = [key, ...(await Promise.all([1, 2, 3].map(() => opensslEcKey(curve))))];
    expect(keys.map((made) => refusal(made))).toEqual(keys.map(() => undefined));
  });

  it('refuses a point with any bit of its coordinates flipped', () => {
    fc.assert(
      fc.property(fc.nat(octets * 16 - 1), (bit) => {
        expect(refusal(withPoint(flipped(bit)))).toBe('key-point-invalid');
      }),
    );
  });

  it('refuses an x that is not reduced, though it is the same number modulo p', () => {
    const { x, y } = pointWithSmallX(key, p, octets);
    expect(refusal(withPoint(encode(x, y)))).toBeUndefined();
    expect(refusal(withPoint(encode(x + p, y)))).toBe('key-point-invalid');
  });

  it('refuses a y that is not reduced, where the octets have room for one', () => {
    const { x, y } = coordinates(key, octets);
    expect(refusal(withPoint(encode(x, y)))).toBeUndefined();
    // On P-521 any y + p fits; on the others only p itself surely does.
    const notReduced = curve === 'P-521' ? y + p : p;
    expect(refusal(withPoint(encode(x, notReduced)))).toBe('key-point-invalid');
  });

  it('refuses the point at infinity, and all zeros', () => {
    const findings = [Buffer.of(0), encode(0n, 0n)].map((point) => checkPublicKey(withPoint(point), POLICY));
    expect(findings[0]?.detail).toContain('the point at infinity');
    expect(findings[1]?.detail).toContain('all zeros');
    expect(findings.map((finding) => finding?.code)).toEqual(['key-point-invalid', 'key-point-invalid']);
  });

  it('refuses other forms of a good point: compressed, hybrid, cut, longer, empty', () => {
    const x = key.point.subarray(1, 1 + octets);
    const rest = key.point.subarray(1);
    const forms = [
      Buffer.concat([Buffer.of(2), x]),
      Buffer.concat([Buffer.of(6), rest]),
      key.point.subarray(0, -1),
      Buffer.concat([key.point, Buffer.of(0)]),
      Buffer.alloc(0),
    ];
    expect(forms.map((form) => refusal(withPoint(form)))).toEqual(forms.map(() => 'key-point-invalid'));
  });

  it('refuses a good point under the name of another curve', () => {
    const others = CURVES.filter((other) => other.curve !== curve);
    expect(others.map((other) => refusal({ ...key, curve: other.curve }))).toEqual([
      'key-point-invalid',
      'key-point-invalid',
    ]);
  });

  it('leaves the point to the library that proved it, which does refuse one off the curve', () => {
    const off = withPoint(flipped(0));
    expect(checkPublicKey(off, POLICY)?.code).toBe('key-point-invalid');
    expect(checkPublicKey(off, POLICY, { pointProven: false })?.code).toBe('key-point-invalid');
    expect(checkPublicKey(off, POLICY, { pointProven: true })).toBeUndefined();
    expect(importPoint(key, octets)).toBe(true);
    expect(importPoint(off, octets)).toBe(false);
  });

  it('still refuses a curve that the policy leaves out when its point is proven', () => {
    const finding = checkPublicKey(key, { ...POLICY, allowed: ['ed25519'] }, { pointProven: true });
    expect(finding?.code).toBe('key-algorithm-not-allowed');
  });
});

function coordinates(key: EcKey, octets: number): { x: bigint; y: bigint } {
  const hex = Buffer.from(key.point).toString('hex');
  return { x: BigInt(`0x${hex.slice(2, 2 + 2 * octets)}`), y: BigInt(`0x${hex.slice(2 + 2 * octets)}`) };
}

/** A point whose x + p still fits the octets: b comes from a real key, the root is easy since p ≡ 3 mod 4. */
function pointWithSmallX(key: EcKey, p: bigint, octets: number): { x: bigint; y: bigint } {
  const real = coordinates(key, octets);
  const b = real.y ** 2n - real.x ** 3n + 3n * real.x;
  for (let x = 1n; ; x++) {
    const ySquared = (((x ** 3n - 3n * x + b) % p) + p) % p;
    const y = modPow(ySquared, (p + 1n) / 4n, p);
    if ((y * y) % p === ySquared) return { x, y };
  }
}

function importPoint(key: EcKey, octets: number): boolean {
  const part = (start: number): string =>
    Buffer.from(key.point.subarray(start, start + octets)).toString('base64url');
  try {
    createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: key.curve, x: part(1), y: part(1 + octets) } });
    return true;
  } catch {
    return false;
  }
}
