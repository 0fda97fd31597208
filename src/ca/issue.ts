import type { Actor } from '../core/audit.ts';
import { breathe } from '../core/breathe.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { assembleSigned } from '../x509/certificate.ts';
import type { Authorities, Authority } from './authority.ts';
import type { CaLedger, CertificateRecord, CertificateWrites, Reservation } from './ports.ts';
import type { PreparedCertificate } from './prepare.ts';

/** An issued certificate. */
export interface IssuedCertificate {
  readonly authority: Authority;
  readonly serial: Uint8Array;
  /** Certificate, DER. */
  readonly certificate: Buffer;
  /** It was issued before, and the same answer is given again. */
  readonly repeated: boolean;
}

/** Signatures between two breaths of the event loop. */
const SLICE = 32;

/** What a unit of work decided for one request. */
export type Decision =
  | { readonly kind: 'reserved'; readonly id: number; readonly prepared: PreparedCertificate }
  | { readonly kind: 'repeat'; readonly record: CertificateRecord }
  | { readonly kind: 'refused'; readonly error: BirthmarkError };

export type Outcome = IssuedCertificate | BirthmarkError;

interface Unsigned {
  readonly index: number;
  readonly id: number;
  readonly tbs: Uint8Array;
  readonly authority: Authority;
}

/**
 * Sign and commit: the second half of issuance, for what one unit of work decided. The first half (prepare, reserve) is
 * durable by now, so a crash here leaves reservations that `finishReserved` or the next request for them completes;
 * the answer exists only after the commit.
 *
 * @param alongside what else is written in the transaction that records the signatures
 * @returns one outcome for one decision, in order
 */
export async function signAndCommit<Tx extends CertificateWrites>(
  ledger: { write<T>(work: (tx: Tx) => Promise<T>): Promise<T> },
  authorities: Authorities,
  decisions: readonly Decision[],
  alongside?: (tx: Tx) => Promise<void>,
): Promise<Outcome[]> {
  const unsigned = decisions.flatMap((decision, index) => unsignedPart(decision, index, authorities));
  const signed: { id: number; signature: Uint8Array }[] = [];
  for (const [at, { id, tbs, authority }] of unsigned.entries()) {
    if (at % SLICE === SLICE - 1) await breathe();
    signed.push({ id, signature: await authority.signer.sign(tbs) });
  }
  const signatures = signed.length === 0 ? [] : await ledger.write((tx) => record(tx, signed, alongside));
  const byIndex = new Map(unsigned.map(({ index }, at) => [index, signatures[at]]));
  return decisions.map((decision, index) => toOutcome(decision, byIndex.get(index), authorities));
}

async function record<Tx extends CertificateWrites>(
  tx: Tx,
  signed: Parameters<Tx['commit']>[0],
  alongside?: (tx: Tx) => Promise<void>,
): Promise<readonly Uint8Array[]> {
  const signatures = await tx.commit(signed);
  await alongside?.(tx);
  return signatures;
}

function unsignedPart(decision: Decision, index: number, authorities: Authorities): Unsigned[] {
  if (decision.kind === 'reserved') {
    return [{ index, id: decision.id, tbs: decision.prepared.tbs, authority: decision.prepared.authority }];
  }
  // A repeated request may meet what a crash left between reservation and signature.
  if (decision.kind === 'repeat' && decision.record.signature === undefined) {
    const { id, tbs, authority } = decision.record;
    return [{ index, id, tbs, authority: findAuthority(authorities, authority) }];
  }
  return [];
}

function toOutcome(decision: Decision, signature: Uint8Array | undefined, authorities: Authorities): Outcome {
  if (decision.kind === 'refused') return decision.error;
  if (decision.kind === 'reserved') {
    const { authority, serial, tbs } = decision.prepared;
    return { authority, serial, certificate: assemble(authority, tbs, signature), repeated: false };
  }
  const { record } = decision;
  const authority = findAuthority(authorities, record.authority);
  return {
    authority,
    serial: record.serial,
    certificate: assemble(authority, record.tbs, record.signature ?? signature),
    repeated: true,
  };
}

function assemble(authority: Authority, tbs: Uint8Array, signature: Uint8Array | undefined): Buffer {
  if (!signature) throw new BirthmarkError('internal', 'a reservation was answered without its signature');
  return assembleSigned(tbs, authority.signatureAlgorithm, signature);
}

function findAuthority(authorities: Authorities, name: string): Authority {
  const authority = authorities.get(name);
  // One that another process made just now is here at the next look.
  if (!authority)
    throw new BirthmarkError(
      'unavailable',
      `the ledger names authority ${name}, whose key is not here yet; try again in a second`,
    );
  return authority;
}

/** The whole certificate of a record, DER; undefined while it is only reserved. */
export function certificateOf(record: CertificateRecord, authorities: Authorities): Buffer | undefined {
  return (
    record.signature && assemble(findAuthority(authorities, record.authority), record.tbs, record.signature)
  );
}

/** The row that takes a prepared certificate's serial and bytes. */
export function toReservation(
  prepared: PreparedCertificate,
  by: {
    readonly deviceId: number | null;
    readonly keyHash: Uint8Array;
    readonly vouchedBy: string;
    readonly holder: string;
  },
  now: number,
): Reservation {
  const { authority, profile, serial, shard, notBefore, notAfter, tbs } = prepared;
  return {
    serial,
    authority: authority.name,
    profile: profile.name,
    shard,
    notBefore,
    notAfter,
    tbs,
    reservedAt: now,
    ...by,
  };
}

const FINISH_AT_ONCE = 500;

/**
 * Signs what a crash left reserved, oldest first. Harmless beside a running issuance: who commits first wins, and both
 * answer with that signature. What is an authority's own certificate, which a record brought back, is signed already.
 *
 * @param before only reservations made before this time, so that a start does not race with work under way
 * @returns how many were finished
 */
export async function finishReserved(
  ledger: CaLedger,
  authorities: Authorities,
  clock: Clock,
  before: number,
): Promise<number> {
  const actor: Actor = 'system';
  let finished = 0;
  for (;;) {
    const left = (await ledger.read.findReserved(FINISH_AT_ONCE)).filter(
      ({ reservedAt }) => reservedAt <= before,
    );
    if (left.length === 0) return finished;
    const own = ownSignatures(authorities);
    const signed = left.flatMap(({ id, serial }) => {
      const signature = own.get(toHex(serial));
      return signature ? [{ id, signature }] : [];
    });
    const unsigned = left.filter(({ serial }) => !own.has(toHex(serial)));
    if (signed.length > 0) await ledger.write((tx) => tx.commit(signed));
    await signAndCommit(
      ledger,
      authorities,
      unsigned.map((record) => ({ kind: 'repeat', record }) as const),
      (tx) =>
        tx.appendAudit(
          unsigned.map(({ serial, holder }) => ({
            at: clock(),
            actor,
            action: 'certificate.finish',
            subject: `certificate:${toHex(serial)}`,
            outcome: 'done',
            facts: { holder },
          })),
        ),
    );
    finished += left.length;
  }
}

/** Of the authorities' own certificates, by serial. */
function ownSignatures(authorities: Authorities): ReadonlyMap<string, Uint8Array> {
  const own = [...authorities.values()].map(({ certificate }) => certificate);
  return new Map(own.map(({ tbs, signature }) => [toHex(tbs.serial), signature]));
}
