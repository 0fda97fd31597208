import { generateKeyPairSync } from 'node:crypto';
import type { IssuingRoom } from '../../ca/issuing-room.ts';
import type { KeyAlgorithm } from '../../ca/key-policy/check-public-key.ts';
import type { Profile } from '../../ca/profile.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { createCsr } from '../../x509/create-csr.ts';
import { parseCsr } from '../../x509/csr.ts';
import { encodeCsrAttributes, type KeyRequirement } from '../../x509/csr-attributes.ts';
import { asksForKeyEncryption } from '../../x509/est-attributes.ts';
import type { Label } from '../label.ts';

/** DER: the root, and what is needed below it to verify what this label issues (RFC 7030 §4.1.3). */
export function authorityCertificates({ profile }: Label, issuing: IssuingRoom): readonly Uint8Array[] {
  return issuing.caCertificates(profile.name);
}

/** DER of what a CSR under this label must have (RFC 7030 §4.5.2): a kind of key is named only where no other is taken. */
export function requiredAttributes(
  { profile, bindingRequired }: Label,
  issuing: IssuingRoom,
  minRsaBits: number,
): Buffer {
  const key = onlyKey(profile, issuing, minRsaBits);
  return encodeCsrAttributes({ channelBinding: bindingRequired, ...(key && { key }) });
}

function onlyKey(profile: Profile, issuing: IssuingRoom, minRsaBits: number): KeyRequirement | undefined {
  const chain = issuing.preparer(profile.name).authority.signer.algorithm;
  const allowed = profile.allowedKeys.filter(
    (algorithm) => !profile.sameAlgorithmChain || chain.startsWith(FAMILY[algorithm]),
  );
  const [only, ...others] = allowed;
  return only === undefined || others.length > 0 ? undefined : requirementOf(only, minRsaBits);
}

/** How the names of signature algorithms begin that go with a key: a chain of one curve is held to it at enrollment. */
const FAMILY: Readonly<Record<KeyAlgorithm, string>> = {
  'ec-p256': 'ecdsa',
  'ec-p384': 'ecdsa',
  'ec-p521': 'ecdsa',
  ed25519: 'ed25519',
  rsa: 'rsa',
};

function requirementOf(algorithm: KeyAlgorithm, minRsaBits: number): KeyRequirement {
  switch (algorithm) {
    case 'ec-p256':
      return { kind: 'ec', curve: 'P-256' };
    case 'ec-p384':
      return { kind: 'ec', curve: 'P-384' };
    case 'ec-p521':
      return { kind: 'ec', curve: 'P-521' };
    case 'rsa':
      return { kind: 'rsa', bits: minRsaBits };
    case 'ed25519':
      return { kind: 'ed25519' };
  }
}

/** A key that the server makes for a device, with a CSR for it. Nobody keeps it. */
export interface MadeKey {
  /** PKCS#8, DER. */
  readonly privateKey: Buffer;
  /** PKCS#10, DER. */
  readonly csr: Buffer;
}

/**
 * Makes a P-256 key for a device that cannot (RFC 7030 §4.4).
 *
 * @param asked the device's CSR, DER, whose own key and signature count for nothing
 * @throws BirthmarkError `forbidden` where the label does not make keys, `bad-csr` where it is to come encrypted, which we
 *   cannot: it never goes out less protected than was asked for (RFC 7030 §4.4.1)
 */
export function makeKey({ name, serverKeygen }: Label, asked: Uint8Array): MadeKey {
  if (!serverKeygen) {
    throw new BirthmarkError(
      'forbidden',
      `label ${name} makes no keys (labels.${name}.serverKeygen); make one on the device and use simpleenroll`,
    );
  }
  if (asksForKeyEncryption(parseCsr(asked)))
    throw new BirthmarkError(
      'bad-csr',
      'the CSR asks for the key to be encrypted for it, which cannot be done here',
      {
        field: 'csr',
      },
    );
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }), csr: createCsr(privateKey) };
}
