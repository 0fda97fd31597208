import type { SteadyClock } from '../../core/steady-clock.ts';
import { certificateKeyOf } from '../credential.ts';
import type { Gate } from '../gate.ts';
import type { EndCause } from '../ports.ts';
import type { Session } from '../sessions.ts';
import type { SightingReporter } from '../sighting-reporter.ts';
import type { KnownStatus, NameStatusSource, StatusSource } from '../status-source.ts';
import type { ReadSnapshot } from './read-snapshot.ts';
import type { CertificateKey } from './status-table.ts';
import type { Change } from './wire.ts';

/** What the feed told, as a source of the gate's. Of an issuer that the snapshot does not name it knows nothing good. */
export function tableSource(known: () => ReadSnapshot | undefined, steady: SteadyClock): StatusSource {
  let header: ReadSnapshot['header'] | undefined;
  let issuers: ReadonlySet<string> = new Set();
  return {
    name: 'feed',
    statusOf: (id) => {
      const latest = known();
      if (!latest) return undefined;
      if (latest.header !== header) {
        header = latest.header;
        issuers = new Set(header.authorities.map(({ issuerKeyId }) => issuerKeyId));
      }
      return statusIn(latest, certificateKeyOf(id), issuers.has(id.issuerKeyId), steady.now());
    },
  };
}

function statusIn(
  { table }: ReadSnapshot,
  key: CertificateKey,
  knowsIssuer: boolean,
  now: number,
): KnownStatus | undefined {
  const standing = table.statusOf(key);
  const ageMs = table.ageMs(now);
  if (standing.status === 'good') return knowsIssuer ? { status: 'good', ageMs } : undefined;
  const { status, reason, at } = standing;
  return { status, ageMs, ...(reason !== undefined && { reason }), ...(at !== undefined && { since: at }) };
}

/** The same for brokers that show a name only. */
export function nameSource(known: () => ReadSnapshot | undefined, steady: SteadyClock): NameStatusSource {
  return {
    statusOf: (identity) => {
      const latest = known();
      if (!latest?.names) return undefined;
      const ageMs = latest.table.ageMs(steady.now());
      return { status: latest.names.statusOf(identity) ?? 'good', ageMs };
    },
  };
}

/**
 * Ends what stands on a certificate whose status has changed for the worse, or on its key where that was stolen.
 *
 * @param reporter is told when nothing of it is left
 */
export function endTakenBack(
  gate: Gate,
  change: Change,
  reporter?: Pick<SightingReporter, 'takenBack'>,
): void {
  const { status, reason, issuerKeyId, serial, keyHash, holder } = change;
  if (status === 'good') return;
  const taken = {
    certificate: { issuerKeyId, serial },
    ...(reason === 'keyCompromise' && { keyHash }),
  };
  const cause = causeOf(status, reason);
  // A name is all that such a broker shows: it stands for the newer certificate as well, and nobody stole the older one.
  const stays = cause === 'superseded' && holder?.others === true;
  const identity = holder && !stays ? { namespace: holder.namespace, id: holder.serialNumber } : undefined;
  const named = identity ? gate.sessions.ofIdentity(identity).filter(isNamed) : [];
  reporter?.takenBack({ issuerKeyId, serial }, [...gate.sessions.standingOn(taken), ...named]);
  if (identity) gate.endNamed(identity, cause);
  gate.takenBack(taken, cause, status === 'revoked' && holder?.others === false);
}

/** RFC 5280 §5.3.1. */
function causeOf(status: 'revoked' | 'held', reason: string | undefined): EndCause {
  if (status === 'held') return 'held';
  return reason === 'keyCompromise' ? 'compromised' : reason === 'superseded' ? 'superseded' : 'revoked';
}

function isNamed({ credentials }: Session): boolean {
  return credentials.length === 0;
}

/** Ends all that stands on what is known to be bad: after a snapshot nobody says what has changed. */
export function endAllTakenBack(gate: Gate, source: StatusSource, names: NameStatusSource): void {
  for (const session of [...gate.sessions.values()]) {
    const named = isNamed(session) ? names.statusOf(session.identity)?.status : undefined;
    if (named !== undefined && named !== 'good') gate.endNamed(session.identity, named);
    for (const id of session.credentials) {
      const known = source.statusOf(id);
      if (known && known.status !== 'good')
        gate.takenBack({ certificate: id }, causeOf(known.status, known.reason));
    }
  }
}
