import { createHash, type Hash } from 'node:crypto';
import {
  type SnapshotHeader,
  type SnapshotLine,
  type SnapshotSeal,
  sealedText,
} from '../../broker-auth/status/wire.ts';
import {
  type Authorities,
  type Authority,
  certificatesBelowRoots,
  chainBelowRoot,
} from '../../ca/authority.ts';
import type { ResponderSigner } from '../../ca/ocsp/responder-signer.ts';
import type { KeyReads } from '../../ca/ports.ts';
import type { RevocationReads } from '../../ca/revocation/ports.ts';
import { breathe } from '../../core/breathe.ts';
import { toBase64, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { hashKey } from '../../x509/public-key.ts';
import { datesOf, issuerKeyId, toTime } from './change-pages.ts';

export interface SnapshotOptions {
  readonly ledger: Pick<
    RevocationReads,
    'statusEpoch' | 'lastStatusChange' | 'listTakenBack' | 'findHolders'
  > &
    Pick<KeyReads, 'scanBlockedKeys'>;
  readonly authorities: Authorities;
  /** Looks for authorities that came since, so that whoever is told of them finds them here. */
  readonly look?: () => Promise<unknown>;
  /** Which generation of a family issues; the one of that name where it is not given. */
  readonly current?: (family: string) => Authority | undefined;
  /** Who may tell a status in an authority's name: its OCSP signer, never the authority's own key. */
  readonly signerOf: (authority: string) => ResponderSigner | undefined;
  readonly clock: Clock;
  readonly validMs: number;
  /** Tell the devices too, which makes it a third longer. */
  readonly holders?: boolean;
}

/** The authority whose OCSP signer signs: it certifies this house's own services. */
const SIGNED_FOR = 'service';
/** Lines made without letting others have a turn: a few milliseconds. */
const PAGE = 500;
/** So long after its end a certificate is still told of, for those who are lenient about ends, or whose clock is wrong. */
const GRACE_MS = 30 * 86_400_000;

/**
 * Begins a snapshot of all that is not good, in pieces of NDJSON: a header, a line for each certificate and each blocked
 * key, a seal. Where it stands is read before what it tells, so it holds all changes up to there, and perhaps later ones.
 *
 * @throws BirthmarkError `unavailable` where there is no signer; what the ledger throws
 */
export async function openSnapshot(options: SnapshotOptions): Promise<AsyncGenerator<string>> {
  const { ledger, authorities, look, clock, validMs } = options;
  const issuedAt = clock();
  const [epoch, sequence] = [await ledger.statusEpoch(), await ledger.lastStatusChange()];
  // Behind the epoch, which begins with a new authority.
  await look?.();
  const { authority, signer } = findSigner(options, issuedAt) ?? {};
  if (!authority || !signer)
    throw new BirthmarkError(
      'unavailable',
      'there is no OCSP signer that could sign a snapshot; the log says why',
    );
  const endedBefore = Math.max(0, issuedAt - GRACE_MS);
  const header: SnapshotHeader = {
    format: 'birthmark-status-snapshot',
    version: 1,
    epoch,
    sequence,
    issuedAt: toTime(issuedAt),
    validUntil: toTime(Math.min(issuedAt + validMs, signer.notAfter)),
    endedBefore: toTime(endedBefore),
    authorities: [...authorities.values()].map(({ name, keyId, certificate }) => ({
      name,
      issuerKeyId: toHex(keyId),
      keyHash: toHex(hashKey(certificate.tbs.spki)),
    })),
    intermediates: certificatesBelowRoots(authorities).map(toBase64),
  };
  const chain = [signer.certificate, ...chainBelowRoot(authority)];
  return sealed(contents(options, header, endedBefore), signer, chain);
}

/** Of the generation that issues; of the one before where it has none yet. */
function findSigner(
  { authorities, current, signerOf }: SnapshotOptions,
  now: number,
): { readonly authority: Authority; readonly signer: ResponderSigner } | undefined {
  const candidates = [current?.(SIGNED_FOR), ...[...authorities.values()].toReversed()];
  for (const authority of candidates) {
    if (authority?.family !== SIGNED_FOR) continue;
    const signer = signerOf(authority.name);
    if (signer && signer.notAfter > now && signer.notBefore <= now) return { authority, signer };
  }
  return undefined;
}

async function* contents(
  { ledger, authorities, clock, holders: tellHolders }: SnapshotOptions,
  header: SnapshotHeader,
  endedBefore: number,
): AsyncGenerator<string> {
  yield `${JSON.stringify(header)}\n`;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const found = await ledger.listTakenBack({ endedBefore, after, limit: PAGE });
    const serials = tellHolders ? found.map(({ serial }) => serial) : [];
    const holders = await ledger.findHolders(serials, clock());
    yield toLines(
      found.map(({ authority, serial, keyHash, held, reason, recordedAt, ...record }, at) => ({
        issuerKeyId: issuerKeyId(authorities, authority),
        serial: toHex(serial),
        keyHash: toHex(keyHash),
        status: held ? 'held' : 'revoked',
        ...(reason && { reason }),
        ...(holders[at] && { holder: holders[at] }),
        at: toTime(recordedAt),
        ...datesOf(record),
      })),
    );
    after = found.length === PAGE ? found.at(-1)?.id : undefined;
    await breathe();
  }
  for (let after: Uint8Array | undefined = new Uint8Array(0); after !== undefined; ) {
    const { items, through } = await ledger.scanBlockedKeys({ endedBefore, after, limit: PAGE });
    yield toLines(items.map((keyHash) => ({ blockedKey: toHex(keyHash) })));
    after = through;
    await breathe();
  }
}

function toLines(lines: readonly SnapshotLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

async function* sealed(
  pieces: AsyncGenerator<string>,
  { signer }: ResponderSigner,
  chain: readonly Uint8Array[],
): AsyncGenerator<string> {
  const digest: Hash = createHash('sha256');
  for await (const piece of pieces) {
    if (piece === '') continue;
    digest.update(piece);
    yield piece;
  }
  const sha256 = digest.digest('hex');
  const seal: SnapshotSeal = {
    sha256,
    algorithm: signer.algorithm,
    signature: toBase64(await signer.sign(sealedText(sha256))),
    chain: chain.map(toBase64),
  };
  yield `${JSON.stringify(seal)}\n`;
}
