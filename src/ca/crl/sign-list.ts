import { BirthmarkError } from '../../core/errors.ts';
import { SIGNATURE_ALGORITHMS, verifySignature, verifySignatureLater } from '../../x509/algorithms.ts';
import { encodeCrl } from '../../x509/crl.ts';
import type { Der } from '../../x509/der/encode.ts';
import * as extensions from '../../x509/extensions.ts';
import { importPublicKey } from '../../x509/public-key.ts';
import type { Authority } from '../authority.ts';
import type { PublishedUrls } from '../published-urls.ts';
import type { CrlFacts, CrlRecord } from './ports.ts';
import type { ListContent } from './read-content.ts';
import type { CrlRoom } from './room.ts';
import { DELTA, FULL } from './scope.ts';

/** A list that nobody has seen yet. */
export interface SignedList {
  readonly record: CrlRecord;
  /** Rows of the certificates that no list had before. */
  readonly firstListed: readonly number[];
}

/**
 * Signs a list, and verifies it.
 *
 * @throws BirthmarkError `internal` where the signature does not verify, or as the signer
 */
export async function signList(
  facts: CrlFacts,
  { entries, firstListed }: ListContent,
  authority: Authority,
  { urls, isAlone = false }: Pick<CrlRoom, 'urls' | 'isAlone'>,
): Promise<SignedList> {
  const { signer, signatureAlgorithm, certificate } = authority;
  const list = encodeCrl({
    signatureAlgorithm,
    issuer: certificate.tbs.subject,
    thisUpdate: facts.thisUpdate,
    nextUpdate: facts.nextUpdate,
    entries,
    extensions: extensionsOf(facts, authority, urls),
  });
  const signature = await signer.sign(list.tbs);
  const key = importPublicKey(certificate.tbs.spki);
  const verify = isAlone ? verifySignature : verifySignatureLater;
  if (!(await verify(SIGNATURE_ALGORITHMS[signer.algorithm], key, list.tbs, signature)))
    throw new BirthmarkError(
      'internal',
      `the signature of authority ${authority.name} over its list does not verify`,
    );
  return { record: { ...facts, crl: list.assemble(signature) }, firstListed };
}

function extensionsOf(
  { scope, number, idp, base }: CrlFacts,
  { name, keyId, isRoot }: Authority,
  urls: PublishedUrls,
): Der[] {
  const common = [extensions.authorityKeyIdentifier(keyId), extensions.crlNumber(number)];
  if (scope !== FULL && scope !== DELTA) {
    const url = urls.shard(name, Number(scope));
    return [...common, extensions.issuingDistributionPoint({ url, onlyUserCerts: true })];
  }
  // Certificates of a root name its full list. Others name a shard, so that only what kind they are can be said of them.
  const scopeOfFull = isRoot ? { url: urls.crl(name) } : { onlyUserCerts: true as const };
  return [
    ...common,
    ...(base === undefined ? [] : [extensions.deltaCrlIndicator(base)]),
    ...(idp ? [extensions.issuingDistributionPoint(scopeOfFull)] : []),
    ...(scope === FULL ? [extensions.freshestCrl(urls.delta(name))] : []),
  ];
}
