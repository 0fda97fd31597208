import { breathe } from '../core/breathe.ts';
import { BirthmarkError } from '../core/errors.ts';
import { SIGNATURE_ALGORITHMS, verifySignature } from '../x509/algorithms.ts';
import { assembleSigned } from '../x509/certificate.ts';
import { encodeTbsCertList } from '../x509/crl.ts';
import { type CrlEntryFields, encodeCrlEntries } from '../x509/crl-entries.ts';
import { authorityKeyIdentifier, crlNumber, issuingDistributionPoint } from '../x509/extensions.ts';
import { importPublicKey } from '../x509/public-key.ts';
import type { Authorities, Authority } from './authority.ts';
import type { CaLedger, CrlRecord, RevocationRecord } from './ports.ts';
import type { PublishedUrls } from './published-urls.ts';

export interface CrlPolicy {
  /** How many shards the certificates issued from now on are spread over. Grows, never shrinks. */
  readonly shards: number;
  /** From thisUpdate to nextUpdate. A list is replaced when half of it has passed. */
  readonly validityMs: number;
  /** So long after a full list was published, changes wait for the next one. Shards never wait. */
  readonly coalesceMs: number;
}

/** Scope of the list of everything that an authority took back. */
export const FULL = 'full';

/** A list, by what it is of. */
export interface CrlScope {
  readonly authority: string;
  readonly scope: string;
}

export interface CrlRoom {
  readonly ledger: CaLedger;
  readonly authorities: Authorities;
  readonly urls: PublishedUrls;
  readonly policy: CrlPolicy;
}

/**
 * Publishes each list that is missing, past half of its time, or does not tell the last change: a full list of many
 * entries no more often than the policy says, every other one at once.
 *
 * @returns how many were published
 */
export async function publishDueCrls(room: CrlRoom, now: number): Promise<number> {
  const { ledger, authorities, policy } = room;
  const due: CrlScope[] = [];
  for (const authority of authorities.values()) {
    const published = new Map((await ledger.read.listCrls(authority.name)).map((crl) => [crl.scope, crl]));
    for (const scope of new Set([...scopesOf(authority, policy), ...published.keys()])) {
      const crl = published.get(scope);
      if (!crl || now >= (crl.thisUpdate + crl.nextUpdate) / 2)
        due.push({ authority: authority.name, scope });
    }
  }
  const isDue = ({ authority, scope }: CrlScope) =>
    due.some((one) => one.authority === authority && one.scope === scope);
  for (const stale of await ledger.read.listStaleCrls()) {
    const waits =
      stale.scope === FULL &&
      authorities.get(stale.authority)?.isRoot === false &&
      now < stale.thisUpdate + policy.coalesceMs;
    if (!waits && !isDue(stale)) due.push(stale);
  }
  await publishCrls(due, room, now);
  return due.length;
}

/** The list that a certificate's own distribution point names. */
export function scopeOfCertificate(
  { authority, shard }: { readonly authority: string; readonly shard: number },
  authorities: Authorities,
): CrlScope {
  return { authority, scope: authorities.get(authority)?.isRoot ? FULL : String(shard) };
}

/** Octets of lists that may wait to be written in one transaction. */
const WRITE_TOGETHER = 1024 * 1024;

/**
 * Signs lists anew and publishes them. One that cannot be signed leaves the one before in its place, and does not keep
 * the others from being published.
 *
 * Crash order: the number is taken for good, then the ledger is read, then the list is signed and verified, then it
 * replaces the one before in one step.
 *
 * @throws what the first that failed threw, after the others were published
 */
export async function publishCrls(scopes: readonly CrlScope[], room: CrlRoom, now: number): Promise<void> {
  if (scopes.length === 0) return;
  const { ledger } = room;
  const numbers = await ledger.write(async (tx) => {
    const taken: number[] = [];
    for (const { authority, scope } of scopes) taken.push(await tx.takeCrlNumber(authority, scope));
    return taken;
  });
  const before = new Map<string, Omit<CrlRecord, 'crl'>>();
  for (const authority of new Set(scopes.map((one) => one.authority)))
    for (const crl of await ledger.read.listCrls(authority)) before.set(keyOf(crl), crl);
  const failures: unknown[] = [];
  let waiting: SignedCrl[] = [];
  let octets = 0;
  const flush = async () => {
    await write(waiting, ledger, now);
    waiting = [];
    octets = 0;
  };
  for (const [at, scope] of scopes.entries()) {
    try {
      const signed = await signCrl(
        scope,
        numbers[at] ?? 0,
        room,
        now,
        before.get(keyOf(scope))?.thisUpdate ?? 0,
      );
      waiting.push(signed);
      octets += signed.record.crl.length;
    } catch (error) {
      failures.push(error);
    }
    if (octets >= WRITE_TOGETHER) await flush();
  }
  await flush();
  if (failures.length > 0) throw failures[0];
}

function keyOf({ authority, scope }: CrlScope): string {
  return `${authority}/${scope}`;
}

interface SignedCrl {
  readonly record: CrlRecord;
  /** The entries that no list had before. */
  readonly firstListed: readonly number[];
}

const NOTE_AT_ONCE = 500;

async function write(crls: readonly SignedCrl[], ledger: CaLedger, now: number): Promise<void> {
  if (crls.length === 0) return;
  await ledger.write(async (tx) => {
    for (const { record } of crls) await tx.publishCrl(record);
  });
  const listed = crls.flatMap(({ firstListed }) => firstListed);
  for (let at = 0; at < listed.length; at += NOTE_AT_ONCE)
    await ledger.write((tx) => tx.notePublished(listed.slice(at, at + NOTE_AT_ONCE), now));
}

/** A root lists CAs only: few enough for one list. */
function scopesOf(authority: Authority, policy: CrlPolicy): string[] {
  return authority.isRoot
    ? [FULL]
    : [FULL, ...Array.from({ length: policy.shards }, (_, shard) => String(shard))];
}

async function signCrl(
  { authority: name, scope }: CrlScope,
  number: number,
  { authorities, ledger, urls, policy }: CrlRoom,
  now: number,
  lastUpdate: number,
): Promise<SignedCrl> {
  const authority = authorities.get(name);
  if (!authority)
    throw new BirthmarkError('internal', `the ledger has lists of authority ${name}, which has no key here`);
  const thisUpdate = Math.floor(now / 1000) * 1000;
  const nextUpdate = thisUpdate + policy.validityMs;
  const { signer, signatureAlgorithm, keyId, certificate } = authority;
  // Before the entries: what changes while they are read is told by the next list.
  const changes = await ledger.read.lastStatusChange();
  // RFC 5280 §3.3: until a list was issued beyond the certificate's end, also after a time without any.
  const endedBefore = Math.min(thisUpdate - policy.validityMs, lastUpdate);
  const { entries, firstListed } = await readEntries(ledger, name, scope, endedBefore);
  const extensions = [authorityKeyIdentifier(keyId), crlNumber(number)];
  if (scope !== FULL) extensions.push(issuingDistributionPoint(urls.shard(name, Number(scope))));
  const tbs = encodeTbsCertList({
    signatureAlgorithm,
    issuer: certificate.tbs.subject,
    thisUpdate,
    nextUpdate,
    entries,
    extensions,
  });
  const signature = await signer.sign(tbs);
  const key = importPublicKey(certificate.tbs.spki);
  if (!verifySignature(SIGNATURE_ALGORITHMS[signer.algorithm], key, tbs, signature))
    throw new BirthmarkError('internal', `the signature of authority ${name} over its list does not verify`);
  const crl = assembleSigned(tbs, signatureAlgorithm, signature);
  return { record: { authority: name, scope, number, thisUpdate, nextUpdate, changes, crl }, firstListed };
}

/** Entries read and encoded between two breaths of the event loop: some milliseconds. */
const PAGE = 2000;

async function readEntries(
  ledger: CaLedger,
  authority: string,
  scope: string,
  endedBefore: number,
): Promise<{ readonly entries: readonly Buffer[]; readonly firstListed: readonly number[] }> {
  const entries: Buffer[] = [];
  const firstListed: number[] = [];
  const search = { authority, endedBefore, limit: PAGE, ...(scope !== FULL && { shard: Number(scope) }) };
  for (let after = 0; ; ) {
    const page = await ledger.read.listRevocations({ ...search, after });
    if (page.length > 0) entries.push(encodeCrlEntries(page.map(toEntry)));
    for (const { id, publishedAt } of page) if (publishedAt === undefined) firstListed.push(id);
    after = page.at(-1)?.id ?? after;
    if (page.length < PAGE) return { entries, firstListed };
    await breathe();
  }
}

function toEntry({ serial, revokedAt, held, reason, invalidityAt }: RevocationRecord): CrlEntryFields {
  const said = held ? 'certificateHold' : reason;
  return {
    serial,
    revokedAt,
    ...(said && { reason: said }),
    ...(invalidityAt !== undefined && { invalidityAt }),
  };
}
