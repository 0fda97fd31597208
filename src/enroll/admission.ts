import type { Actor } from '../core/audit.ts';
import { equalBytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { Way } from '../fleet/life.ts';
import type { DeviceRecord } from '../fleet/ports.ts';
import type { LedgerTx, TicketRecord, TokenRecord } from './ports.ts';

/**
 * Who vouches for enrollments, seen from inside the unit of work that reserves their certificates: what an admission
 * takes (a count, a ticket's binding) is taken in the same transaction.
 */
export interface Admission {
  readonly actor: Actor;
  /** By what the device comes, see `fleet/life.ts`. */
  readonly way: Way;
  /** As the certificate's record keeps it: `token:ID`, `ticket:ID`, `operator:NAME`. */
  readonly vouchedBy: string;
  /** Whether a device that has a certificate of the profile, which stands, may have another one in its place. */
  readonly replaces: boolean;
  /**
   * Looks again whether it still stands, and whether it is for these keys.
   *
   * @returns how many certificates it may have
   * @throws BirthmarkError `unauthenticated`, `ticket-expired`, `ticket-bound`, `token-exhausted`
   */
  redeem(tx: LedgerTx, keyHashes: readonly Uint8Array[]): Promise<number>;
  /** Takes what was used: a count, a ticket's binding. What was refused uses nothing. */
  settle(tx: LedgerTx, used: Used): Promise<void>;
}

/** What became of the requests under an admission. */
export interface Used {
  /** How many certificates were reserved. */
  readonly reserved: number;
  /** The keys that got a certificate, a new one or the one that they had. */
  readonly keyHashes: readonly Uint8Array[];
}

/** A person or script with a role of its own, without a count. */
export function operatorAdmission(actor: Actor): Admission {
  return {
    actor,
    way: 'operator',
    vouchedBy: actor,
    replaces: true,
    redeem: () => Promise.resolve(Number.POSITIVE_INFINITY),
    settle: () => Promise.resolve(),
  };
}

/** A factory token: revoked, expired and used-up ones vouch for nothing more, even within a batch that runs. */
export function tokenAdmission(token: TokenRecord, clock: Clock): Admission {
  return {
    actor: `token:${token.name}`,
    way: 'factory',
    vouchedBy: `token:${token.id}`,
    // A stolen one must not take devices in the field over, unless who made it said that it is for those.
    replaces: token.profiles !== undefined,
    redeem: async (tx) => {
      const now = await tx.findToken(token.id);
      if (!now || now.revokedAt !== undefined || now.expiresAt <= clock()) {
        throw new BirthmarkError(
          'unauthenticated',
          `token ${token.name} was revoked or has expired; ask for another one`,
        );
      }
      return now.count === undefined ? Number.POSITIVE_INFINITY : Math.max(0, now.count - now.used);
    },
    settle: (tx, { reserved }) => (reserved === 0 ? Promise.resolve() : tx.countToken(token.id, reserved)),
  };
}

/**
 * A ticket: the key that gets a certificate by it binds it. Another key is refused, the same one may ask again for that
 * certificate until the ticket expires. A refused key binds nothing: who is told to make a new one can.
 */
export function ticketAdmission(ticket: TicketRecord, clock: Clock): Admission {
  return {
    actor: `ticket:${ticket.id}`,
    way: ticket.recovery ? 'recoveryTicket' : 'ticket',
    vouchedBy: `ticket:${ticket.id}`,
    replaces: true,
    redeem: async (tx, keyHashes) => {
      const now = await tx.findTicket(ticket.id);
      if (!now || now.expiresAt <= clock())
        throw new BirthmarkError('ticket-expired', 'the ticket has expired; ask for another one');
      const [keyHash, ...more] = keyHashes;
      if (keyHash === undefined || more.length > 0)
        throw new BirthmarkError('bad-request', 'a ticket is for one certificate');
      const [device] = await tx.findDevices([now]);
      if (device && (device.ticketsAfter >= now.createdAt || (await wasLostSince(tx, device, now.createdAt))))
        throw new BirthmarkError(
          'ticket-expired',
          'the ticket is dead, as all that were made for the device before; ask for another one',
        );
      if (now.needsApproval && now.approvedAt === undefined)
        throw new BirthmarkError(
          'approval-waiting',
          `the ticket waits for a second person (birthmark ticket approve ${now.id}); send the same request again later`,
        );
      if (now.boundKeyHash === undefined) return 1;
      if (equalBytes(now.boundKeyHash, keyHash)) return (await wasUsed(tx, now, keyHash)) ? 0 : 1;
      throw new BirthmarkError(
        'ticket-bound',
        'the ticket was used with another key and is bound to it; ask for another ticket',
      );
    },
    settle: async (tx, { keyHashes }) => {
      for (const keyHash of keyHashes) await tx.bindTicket(ticket.id, keyHash);
    },
  };
}

/** Whether a key of the device was found to be out since then: who has that may have what was made for the device before. */
async function wasLostSince(tx: LedgerTx, { id, state }: DeviceRecord, since: number): Promise<boolean> {
  if (state !== 'compromised') return false;
  const certificates = await tx.findFactsByDevices([id]);
  const revocations = await tx.findRevocations(certificates.map((one) => one.id));
  return revocations.some((one) => one?.reason === 'keyCompromise' && one.recordedAt > since);
}

/** A recovery ticket may be bound to a key before it is used. */
async function wasUsed(tx: LedgerTx, { id, recovery }: TicketRecord, keyHash: Uint8Array): Promise<boolean> {
  return !recovery || (await tx.findByKey(keyHash)).some(({ vouchedBy }) => vouchedBy === `ticket:${id}`);
}
