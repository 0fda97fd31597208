import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildBase, DeniedOverlay } from '../../../src/broker-auth/adapters/mosquitto/denied-set.ts';
import { sortDigests } from '../../../src/broker-auth/adapters/mosquitto/sort-digests.ts';
import { certificateDigest } from '../../../src/broker-auth/denied-entry.ts';

function cut(digests: Buffer): string[] {
  return Array.from({ length: digests.length / 16 }, (_, at) =>
    digests.toString('hex', 16 * at, 16 * at + 16),
  );
}

describe('digests of what is denied', () => {
  test('are sorted, each once, however much alike they are', async () => {
    // Few octets that vary: many that begin alike, and many twice.
    const digest = fc
      .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 3 }))
      .map(([first, word, last]) => Buffer.from([first, 0, 0, 0, word, ...Array<number>(10).fill(7), last]));
    await fc.assert(
      fc.asyncProperty(fc.array(digest, { maxLength: 60 }), async (digests) => {
        const wanted = [...new Set(digests.map((one) => one.toString('hex')))].sort();
        expect(cut(await sortDigests(Buffer.concat(digests)))).toEqual(wanted);
      }),
    );
  });

  test('of a hundred thousand are sorted as octets compare', async () => {
    const digests = randomBytes(1_600_000);
    expect(cut(await sortDigests(digests))).toEqual(cut(digests).sort());
  });

  test('fill a base of certificates and keys apart', async () => {
    const one = { kind: 'certificate', digest: Buffer.alloc(16, 1) } as const;
    const other = { kind: 'key', digest: Buffer.alloc(16, 2) } as const;
    const base = await buildBase([other, one, one]);
    const wanted = ['424d4b42415345310000', '0001', '01'.repeat(16), '00000001', '02'.repeat(16)].join('');
    expect(base.toString('hex')).toBe(wanted);
  });

  test('that changed say last what was said last, and what is denied beside them stays so', () => {
    const overlay = new DeniedOverlay();
    const entry = { kind: 'certificate', digest: Buffer.alloc(16, 1) } as const;
    overlay.put({ ...entry, denied: true });
    overlay.put({ ...entry, denied: false });
    expect(overlay.digests('certificate', true)).toHaveLength(0);
    expect(overlay.digests('certificate', false)).toHaveLength(16);
    expect(overlay.digests('certificate', true, [entry, entry])).toHaveLength(16);
    expect(overlay.digests('key', true, [entry])).toHaveLength(0);
  });

  test('do not tell a serial number with zeros in front from one without', () => {
    const issuerKeyId = 'aa'.repeat(20);
    const plain = certificateDigest({ issuerKeyId, serial: '80aa' });
    expect(certificateDigest({ issuerKeyId, serial: '0080aa' })).toEqual(plain);
    expect(certificateDigest({ issuerKeyId, serial: '80aa00' })).not.toEqual(plain);
    expect(certificateDigest({ issuerKeyId: 'ab'.repeat(20), serial: '80aa' })).not.toEqual(plain);
    expect(certificateDigest({ issuerKeyId, serial: '00' })).toHaveLength(16);
  });
});
