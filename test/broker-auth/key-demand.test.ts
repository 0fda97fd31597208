import { describe, expect, test } from 'vitest';
import { keyFault } from '../../src/broker-auth/key-demand.ts';
import { PRESETS, type PresetName } from '../../src/broker-auth/presets.ts';
import { makeCertificate } from '../x509/path/make-certificate.ts';
import { mlDsaKey, SIZES } from '../x509/path/ml-dsa-key.ts';
import { ALL_KEY_KINDS } from '../x509/samples.ts';

const certificates = new Map<string, Uint8Array>([
  ...ALL_KEY_KINDS.map((kind) => [kind, makeCertificate({ key: kind }).der] as const),
  ...SIZES.map((size) => [`ML-DSA-${size}`, makeCertificate({ key: mlDsaKey(size) }).der] as const),
]);

function taken(preset: PresetName): readonly string[] {
  const { keys } = PRESETS[preset];
  return [...certificates].flatMap(([kind, der]) =>
    keys && keyFault([der], keys) === undefined ? [kind] : [],
  );
}

describe('the keys that a preset takes', () => {
  const nist = ['P-256', 'P-384', 'P-521'];
  const mlDsa = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];
  test.each<[PresetName, readonly string[]]>([
    ['transport', [...nist, 'Ed25519', 'RSA-2048', ...mlDsa]],
    ['fips-140', [...nist, 'RSA-2048', ...mlDsa]],
    ['cnsa-1', ['P-384']],
    ['cnsa-2', ['ML-DSA-87']],
  ])('of %s', (preset, kinds) => {
    expect(taken(preset)).toEqual(kinds);
  });

  test('are told of by their names', () => {
    const { keys = { curves: [], ed25519: false, minRsaBits: 0, mlDsa: [] } } = PRESETS['cnsa-2'];
    const fault = (kind: string) => keyFault([certificates.get(kind) ?? new Uint8Array()], keys);
    expect(fault('ML-DSA-65')).toBe('a key of the path is ml-dsa-65');
    expect(fault('P-384')).toBe('a key of the path is on P-384');
    expect(fault('RSA-2048')).toBe('a key of the path is RSA of 2048 bits');
  });
});
