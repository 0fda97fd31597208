import { assembleSigned } from '../x509/certificate.ts';
import { encodeTbsCertList } from '../x509/crl.ts';
import { authorityKeyIdentifier, crlNumber, issuingDistributionPoint } from '../x509/extensions.ts';
import type { Authorities, Authority } from './authority.ts';
import type { CaLedger, CrlRecord } from './ports.ts';
import type { PublishedUrls } from './published-urls.ts';

export interface CrlPolicy {
  /** How many shards the certificates issued from now on are spread over. Grows, never shrinks. */
  readonly shards: number;
  /** From thisUpdate to nextUpdate. A list is replaced when half of it has passed. */
  readonly validityMs: number;
}

/** Scope of the list of everything that an authority took back. */
export const FULL = 'full';

interface Scope {
  readonly authority: Authority;
  readonly scope: string;
}

/**
 * Publishes each list that is missing or past half of its time. Nothing can be taken back yet, so lists have no entries;
 * they are there from the first minute because certificates that live for ever name them.
 *
 * Crash order: the number is taken for good, then the list is signed, then it replaces the one before in one step.
 *
 * @returns how many were published
 */
export async function publishDueCrls(
  authorities: Authorities,
  { ledger, urls, policy, now }: { ledger: CaLedger; urls: PublishedUrls; policy: CrlPolicy; now: number },
): Promise<number> {
  const due: Scope[] = [];
  for (const authority of authorities.values()) {
    const published = new Map((await ledger.read.listCrls(authority.name)).map((crl) => [crl.scope, crl]));
    for (const scope of new Set([...scopesOf(authority, policy), ...published.keys()])) {
      const crl = published.get(scope);
      if (!crl || now >= (crl.thisUpdate + crl.nextUpdate) / 2) due.push({ authority, scope });
    }
  }
  if (due.length === 0) return 0;
  const numbers = await ledger.write(async (tx) => {
    const taken: number[] = [];
    for (const { authority, scope } of due) taken.push(await tx.takeCrlNumber(authority.name, scope));
    return taken;
  });
  const crls: CrlRecord[] = [];
  for (const [at, { authority, scope }] of due.entries()) {
    crls.push(await signCrl(authority, scope, numbers[at] ?? 0, urls, policy, now));
  }
  await ledger.write(async (tx) => {
    for (const crl of crls) await tx.publishCrl(crl);
  });
  return crls.length;
}

/** A root lists CAs only: few enough for one list. */
function scopesOf(authority: Authority, policy: CrlPolicy): string[] {
  return authority.isRoot
    ? [FULL]
    : [FULL, ...Array.from({ length: policy.shards }, (_, shard) => String(shard))];
}

async function signCrl(
  authority: Authority,
  scope: string,
  number: number,
  urls: PublishedUrls,
  policy: CrlPolicy,
  now: number,
): Promise<CrlRecord> {
  const thisUpdate = Math.floor(now / 1000) * 1000;
  const nextUpdate = thisUpdate + policy.validityMs;
  const { signer, signatureAlgorithm, keyId, certificate, name } = authority;
  const extensions = [authorityKeyIdentifier(keyId), crlNumber(number)];
  if (scope !== FULL) extensions.push(issuingDistributionPoint(urls.shard(name, Number(scope))));
  const tbs = encodeTbsCertList({
    signatureAlgorithm,
    issuer: certificate.tbs.subject,
    thisUpdate,
    nextUpdate,
    entries: [],
    extensions,
  });
  const crl = assembleSigned(tbs, signatureAlgorithm, await signer.sign(tbs));
  return { authority: name, scope, number, thisUpdate, nextUpdate, crl };
}
