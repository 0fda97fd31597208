import type { Change } from '../../broker-auth/status/wire.ts';
import type { Authorities } from '../../ca/authority.ts';
import type {
  CertificateHolder,
  RevocationReads,
  RevocationRecord,
  StatusChange,
} from '../../ca/revocation/ports.ts';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';

/** Events as they go over the wire, from behind a sequence number on. */
export interface ChangePage {
  readonly text: string;
  /** Of the last event in it. */
  readonly last: number;
}

/** @param upTo the last sequence number that the ledger is known to have */
export type ChangePages = (after: number, epoch: string, upTo: number) => Promise<ChangePage>;

/** Some 100 KB of text: with what a socket buffers, all that is ever held for one reader. */
const PAGE = 200;

export interface ChangePagesOptions {
  readonly ledger: Pick<RevocationReads, 'listStatusChanges' | 'findStatuses' | 'findHolders'>;
  readonly authorities: Authorities;
  readonly clock: Clock;
}

/** Reads and writes out changes. Those who are at the same place get the same page, which is made once. */
export function createChangePages({ ledger, authorities, clock }: ChangePagesOptions): ChangePages {
  let latest: { readonly key: string; readonly page: Promise<ChangePage> } | undefined;

  const make = async (after: number, epoch: string, upTo: number): Promise<ChangePage> => {
    // What was committed since that look is told after the next one: whoever is beyond a look would seem ahead of the ledger.
    const changes = await ledger.listStatusChanges(after, Math.min(PAGE, upTo - after));
    const records = await recordsOf(changes, ledger);
    const holders = await ledger.findHolders(
      changes.map(({ serial }) => serial),
      clock(),
    );
    const text = changes.map((change, at) =>
      toEvent(epoch, toWire(change, records[at], holders[at], authorities)),
    );
    return { text: text.join(''), last: changes.at(-1)?.sequence ?? after };
  };
  return (after, epoch, upTo) => {
    const key = `${after} ${epoch} ${upTo}`;
    if (latest?.key !== key) {
      const page = make(after, epoch, upTo);
      latest = { key, page };
      page.catch(() => {
        latest = undefined;
      });
    }
    return latest.page;
  };
}

/** The revocation that each change made, as far as it is still the one that counts. */
async function recordsOf(
  changes: readonly StatusChange[],
  ledger: ChangePagesOptions['ledger'],
): Promise<readonly (RevocationRecord | undefined)[]> {
  const found = new Map<StatusChange, RevocationRecord>();
  for (const [authority, its] of Map.groupBy(changes, (change) => change.authority)) {
    const statuses = await ledger.findStatuses(
      authority,
      its.map(({ serial }) => serial),
    );
    for (const [at, change] of its.entries()) {
      const status = statuses[at];
      if (status?.status === 'revoked' && status.revocation.recordedAt === change.at)
        found.set(change, status.revocation);
    }
  }
  return changes.map((change) => found.get(change));
}

/** As the feed tells it. */
export function toWire(
  { sequence, serial, authority, keyHash, status, reason, at }: StatusChange,
  record: RevocationRecord | undefined,
  holder: CertificateHolder | undefined,
  authorities: Authorities,
): Change {
  return {
    sequence,
    authority,
    issuerKeyId: issuerKeyId(authorities, authority),
    serial: toHex(serial),
    keyHash: toHex(keyHash),
    status,
    ...(reason && { reason }),
    ...(holder && { holder }),
    at: toTime(at),
    ...(record && datesOf(record)),
  };
}

/** How certificates of that authority name its key, hexadecimal. */
export function issuerKeyId(authorities: Authorities, name: string): string {
  const authority = authorities.get(name);
  if (authority) return toHex(authority.keyId);
  throw new BirthmarkError('internal', `the ledger tells of authority ${name}, which is not here`);
}

/** The dates that events and snapshots tell of a revocation. */
export function datesOf({
  revokedAt,
  invalidityAt,
  notAfter,
}: Pick<RevocationRecord, 'revokedAt' | 'invalidityAt' | 'notAfter'>): Pick<
  Change,
  'revokedAt' | 'invalidityAt' | 'notAfter'
> {
  return {
    revokedAt: toTime(revokedAt),
    ...(invalidityAt !== undefined && { invalidityAt: toTime(invalidityAt) }),
    notAfter: toTime(notAfter),
  };
}

/** Milliseconds as RFC 3339 text. */
export function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function toEvent(epoch: string, change: Change): string {
  return `id: ${epoch}.${change.sequence}\nevent: status\ndata: ${JSON.stringify(change)}\n\n`;
}
