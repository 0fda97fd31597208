import { DerReader } from './der/reader.ts';
import { TAG } from './der/tags.ts';

/**
 * The subject of a certificate that is known to be well formed, DER, without reading what comes before and after it.
 *
 * @throws BirthmarkError `bad-der`
 */
export function readSubject(certificate: Uint8Array): Uint8Array {
  const tbs = new DerReader(certificate).sequence('certificate').sequence('tbsCertificate');
  if (tbs.nextTag === TAG.contextConstructed) tbs.raw('version');
  tbs.raw('serialNumber');
  tbs.raw('signature');
  tbs.raw('issuer');
  tbs.raw('validity');
  return tbs.raw('subject');
}
