import { readCertificate } from '../../../src/x509/certificate.ts';
import type { Der } from '../../../src/x509/der/encode.ts';
import { sequence } from '../../../src/x509/der/encode.ts';
import { TAG } from '../../../src/x509/der/tags.ts';
import { integer, time, unsigned } from '../../../src/x509/der/values.ts';
import { authorityKeyIdentifier, crlNumber, extension } from '../../../src/x509/extensions.ts';
import { keyIdentifier } from '../../../src/x509/public-key.ts';
import { type SampleKey, signed } from '../samples.ts';
import { encodeTbsCertList } from '../tbs-cert-list.ts';
import { NOW, type Party } from './make-certificate.ts';

const DAY = 86_400_000;

/** A certificate on a list. */
export interface Listed {
  readonly certificate: Party;
  readonly reason?: number;
  readonly extra?: readonly Der[];
}

/** What a CRL differs in from a usual one. */
export interface CrlTraits {
  readonly issuer: Party;
  /** Signs instead of the issuer. */
  readonly key?: SampleKey;
  readonly listed?: readonly Listed[];
  readonly number?: number;
  readonly base?: number;
  readonly thisUpdate?: number;
  readonly nextUpdate?: number;
  readonly extra?: readonly Der[];
  /** Instead of all the usual ones. */
  readonly only?: readonly Der[];
}

/** A complete CRL, or a delta where `base` is there. */
export function makeCrl(traits: CrlTraits): Buffer {
  const { issuer, key = issuer.key, listed = [], number = 1, base, extra = [] } = traits;
  const delta = base === undefined ? [] : [extension('2.5.29.27', true, integer(base))];
  const usual = [
    authorityKeyIdentifier(keyIdentifier(issuer.key.spki)),
    crlNumber(number),
    ...delta,
    ...extra,
  ];
  const { thisUpdate = NOW - 1000, nextUpdate = NOW + DAY } = traits;
  const tbs = encodeTbsCertList({
    signatureAlgorithm: key.algorithm.der,
    issuer: issuer.name,
    thisUpdate,
    nextUpdate,
    entries: listed.map(entry),
    extensions: traits.only ?? usual,
  });
  return signed(key, tbs);
}

function entry({ certificate, reason, extra = [] }: Listed): Der {
  const { serial } = readCertificate(certificate.der).tbs;
  const reasons =
    reason === undefined ? [] : [extension('2.5.29.21', false, integer(reason, TAG.enumerated))];
  const all = [...reasons, ...extra];
  return sequence(unsigned(serial), time(NOW - 5000), ...(all.length > 0 ? [sequence(...all)] : []));
}
