import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { Actor } from '../core/audit.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { OWN_NAMESPACE, parseSerialNumber } from '../core/identifiers.ts';
import type { RandomBytes } from '../core/random.ts';
import { assertMayGive } from './admit.ts';
import type { Ledger, LedgerReads, Role, TicketRecord } from './ports.ts';
import { newSecret, readSecret } from './secret.ts';

export interface TicketOrder {
  readonly serialNumber: string;
  readonly profile: string;
  /** Until it expires. */
  readonly expiresInMs: number;
}

export interface NewTicket {
  /** Its public half: what others call it. */
  readonly id: string;
  /** The secret, shown once. */
  readonly ticket: string;
  readonly serialNumber: string;
  readonly profile: string;
  readonly expiresAt: number;
  /** Another person must say yes first. */
  readonly needsApproval: boolean;
}

/**
 * Makes a one-time ticket for a device.
 *
 * @throws BirthmarkError `serial-number-invalid`, `profile-unknown`, `profile-not-allowed`
 */
export async function createTicket(
  order: TicketOrder,
  by: { readonly actor: Actor; readonly role: Role },
  {
    ledger,
    issuing,
    clock,
    random,
  }: { ledger: Ledger; issuing: IssuingRoom; clock: Clock; random: RandomBytes },
): Promise<NewTicket> {
  const serialNumber = parseSerialNumber(order.serialNumber);
  const profile = issuing.profile(order.profile);
  assertMayGive(by.role, profile);
  const now = clock();
  const secret = newSecret('bmt', random);
  const expiresAt = now + order.expiresInMs;
  const record: TicketRecord = {
    id: secret.id,
    secretHash: secret.secretHash,
    namespace: OWN_NAMESPACE,
    serialNumber,
    profile: profile.name,
    createdAt: now,
    createdBy: by.actor,
    expiresAt,
    recovery: false,
    needsApproval: false,
  };
  await ledger.write(async (tx) => {
    await tx.addTicket({ ...record, createdAt: await ticketTime(tx, record) });
    await tx.appendAudit([
      {
        at: now,
        actor: by.actor,
        action: 'ticket.create',
        subject: `device:${OWN_NAMESPACE}/${serialNumber}`,
        outcome: 'done',
        facts: { ticket: secret.id, profile: profile.name, expiresAt },
      },
    ]);
  });
  const { id, text: ticket } = secret;
  return { id, ticket, serialNumber, profile: profile.name, expiresAt, needsApproval: false };
}

/** When a ticket is made: after those for its device that are dead, whatever the clock says. */
export async function ticketTime(
  reads: Pick<LedgerReads, 'findDevices'>,
  { createdAt, namespace, serialNumber }: TicketRecord,
): Promise<number> {
  const [device] = await reads.findDevices([{ namespace, serialNumber }]);
  return Math.max(createdAt, (device?.ticketsAfter ?? 0) + 1);
}

/**
 * The ticket behind what a client presented.
 *
 * @throws BirthmarkError `unauthenticated`, `ticket-expired`
 */
export async function presentTicket(
  text: string | undefined,
  ledger: Ledger,
  clock: Clock,
): Promise<TicketRecord> {
  const secret = text === undefined ? undefined : readSecret(text);
  const ticket = secret?.kind === 'bmt' ? await ledger.read.findTicket(secret.id) : undefined;
  if (!ticket || !secret?.matches(ticket.secretHash)) {
    throw new BirthmarkError(
      'unauthenticated',
      'send a ticket as Authorization: Bearer (birthmark ticket create makes one)',
    );
  }
  if (ticket.expiresAt <= clock())
    throw new BirthmarkError('ticket-expired', 'the ticket has expired; ask for another one');
  return ticket;
}
