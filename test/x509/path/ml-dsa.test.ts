// RFC 9881: certificates of another implementation, and what must not pass for one.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encode, primitive, sequence } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { oid as encodeOid, nullValue } from '../../../src/x509/der/values.ts';
import { readKeyStrength } from '../../../src/x509/path/key-strength.ts';
import { openTrust } from '../../../src/x509/path/trust.ts';
import { validatePath } from '../../../src/x509/path/validate-path.ts';
import { parsePemBlocks } from '../../../src/x509/pem.ts';
import { splitPublicKey } from '../../../src/x509/public-key.ts';
import { makeAuthority, makeCertificate, NOW, type Party } from './make-certificate.ts';
import { mlDsaKey, SIZES, type Size } from './ml-dsa-key.ts';

function read(name: string): Buffer {
  const pem = readFileSync(new URL(`vectors/ml-dsa/${name}.pem`, import.meta.url), 'latin1');
  const [der] = parsePemBlocks(pem, ['CERTIFICATE'], name);
  if (!der) throw new Error(`${name} is empty`);
  return Buffer.from(der);
}

function reasonOf(leaf: Uint8Array, anchor: Uint8Array, at = NOW, possessionProven = false): string {
  const trust = openTrust({ anchors: [anchor] });
  return validatePath(leaf, { trust, at, purpose: 'clientAuth', possessionProven }).reason;
}

function chain(size: Size, changes: Parameters<typeof makeCertificate>[0] = {}): readonly [Party, Party] {
  const root = makeAuthority({ cn: `root ${size}`, key: mlDsaKey(size) });
  return [root, makeCertificate({ issuer: root, key: mlDsaKey(size), ...changes })];
}

describe.each(SIZES)('ML-DSA-%i', (size) => {
  const [root, device] = [read(`root-${size}`), read(`device-${size}`)];

  test('certificates that OpenSSL 4.0 signed are good, until they end', () => {
    expect(reasonOf(device, root)).toBe('ok');
    expect(reasonOf(device, root, Date.UTC(2056, 0, 2))).toBe('expired');
    expect(reasonOf(root, root)).not.toBe('badSignature');
  });

  test('a signature over other octets is none, and neither is one that was changed anywhere', () => {
    const at = device.indexOf(Buffer.from(`SN-${size}`));
    const renamed = Buffer.from(device);
    renamed.write('X', at);
    expect(reasonOf(renamed, root)).toBe('badSignature');
    for (const from of [1, 40, 1000, 2000]) {
      const changed = Buffer.from(device);
      const place = changed.length - from;
      changed.writeUInt8(changed.readUInt8(place) ^ 1, place);
      expect(['badSignature', 'malformed']).toContain(reasonOf(changed, root));
    }
  });

  test('a signature of another size, of another key or of another algorithm is none', () => {
    const [ours, leaf] = chain(size);
    expect(reasonOf(leaf.der, ours.der)).toBe('ok');
    const twin = makeAuthority({ cn: `root ${size}`, key: mlDsaKey(size) });
    expect(reasonOf(leaf.der, twin.der)).toBe('badSignature');
    const other = SIZES.find((one) => one !== size) ?? 44;
    const odd = { ...ours, key: { ...ours.key, algorithm: mlDsaKey(other).algorithm } };
    expect(reasonOf(makeCertificate({ issuer: odd }).der, ours.der)).toBe('badSignature');
  });

  test('an algorithm identifier with parameters is not taken (RFC 9881 §2)', () => {
    const [ours] = chain(size);
    const id = `2.16.840.1.101.3.4.3.${{ 44: 17, 65: 18, 87: 19 }[size]}`;
    const withNull = encode(sequence(encodeOid(id), nullValue()));
    const odd = { ...ours, key: { ...ours.key, algorithm: { ...ours.key.algorithm, der: withNull } } };
    expect(reasonOf(makeCertificate({ issuer: odd }).der, ours.der)).toBe('weak');
  });

  test('HashML-DSA is another algorithm, and is not taken (RFC 9881 §2)', () => {
    const [ours] = chain(size);
    const id = `2.16.840.1.101.3.4.3.${{ 44: 32, 65: 33, 87: 34 }[size]}`;
    const der = encode(sequence(encodeOid(id)));
    const odd = { ...ours, key: { ...ours.key, algorithm: { ...ours.key.algorithm, der } } };
    expect(reasonOf(makeCertificate({ issuer: odd }).der, ours.der)).toBe('weak');
  });

  test('a key that lacks an octet is none (FIPS 204 table 2)', () => {
    const { spki } = mlDsaKey(size);
    expect(readKeyStrength(spki)).toMatchObject({ kind: `ml-dsa-${size}`, defect: undefined });
    const [ours] = chain(size);
    const { algorithm, key } = splitPublicKey(spki);
    const octets = Buffer.concat([Buffer.of(0), key.subarray(1)]);
    const short = encode(sequence(algorithm, primitive(TAG.bitString, octets)));
    expect(readKeyStrength(short).defect).toMatch(/does not have \d+ octets/);
    const leaf = makeCertificate({ issuer: ours, fields: { spki: short } });
    expect(reasonOf(leaf.der, ours.der)).toBe('weak');
  });

  test('a chain may change from ECDSA to it and back', () => {
    const root = makeAuthority({ cn: 'P-384 root', key: 'P-384' });
    const between = makeAuthority({ cn: 'between', issuer: root, key: mlDsaKey(size) });
    const leaf = makeCertificate({ issuer: between });
    const trust = openTrust({ anchors: [root.der], intermediates: [between.der] });
    expect(validatePath(leaf.der, { trust, at: NOW, purpose: 'clientAuth' }).reason).toBe('ok');
  });
});
