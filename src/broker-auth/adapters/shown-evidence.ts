import { parseBase64 } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parsePemBlocks } from '../../x509/pem.ts';
import type { Evidence } from '../evidence.ts';

/** What templates of brokers put where there is no value. */
const NOTHING: readonly (string | null | undefined)[] = [undefined, null, '', 'undefined', 'null'];
/** With a post-quantum key in it; what is longer is an attack. */
const MAX_OCTETS = 32_768;

/**
 * Evidence out of what a broker writes of a client: its certificate as base64 of the DER, or as PEM (the leaf first), else
 * the name that the broker read from a certificate. A certificate that cannot be read is evidence of nothing: it never falls
 * back to the name beside it.
 */
export function shownEvidence(certificate: string | null | undefined, name?: string | null): Evidence {
  if (isShown(certificate)) {
    const [leaf, ...chain] = readCertificates(certificate);
    return leaf ? { level: 'certificate', leaf, chain } : { level: 'none' };
  }
  return isShown(name) ? { level: 'name', name } : { level: 'none' };
}

function isShown(value: string | null | undefined): value is string {
  return !NOTHING.includes(value);
}

function readCertificates(certificate: string): readonly Uint8Array[] {
  try {
    const blocks = certificate.includes('-----BEGIN')
      ? parsePemBlocks(certificate, ['CERTIFICATE'], 'certificate')
      : [parseBase64(certificate, 'certificate')];
    return blocks.reduce((sum, { length }) => sum + length, 0) <= MAX_OCTETS ? blocks : [];
  } catch (error) {
    if (error instanceof BirthmarkError) return [];
    throw error;
  }
}
