import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { Actor } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { OWN_NAMESPACE, parseSerialNumber } from '../core/identifiers.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Ledger, LedgerReads, Role, TicketRecord } from './ports.ts';
import { newSecret } from './secret.ts';
import { type NewTicket, ticketTime } from './ticket.ts';

export interface RecoveryTicketOrder {
  readonly serialNumber: string;
  /** SHA-256 of the SubjectPublicKeyInfo that alone may use it, hexadecimal; not given, its first use binds it. */
  readonly key?: string;
  readonly expiresInMs: number;
}

export interface RecoveryRoom {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Whether another person must say yes to such a ticket. */
  readonly secondApproval: boolean;
}

/** Who acts, with what tells whether two are one person. */
export interface Person {
  readonly actor: Actor;
  readonly role: Role;
  /** Who made the token that is the person's, if it is one. */
  readonly madeBy?: Actor;
}

/**
 * Makes a one-time ticket that gives a device another IDevID in the place of one whose key is out, for a new key.
 *
 * @throws BirthmarkError `forbidden`, `serial-number-invalid`, `device-unknown`, `bad-request` (its IDevID is not compromised)
 */
export async function createRecoveryTicket(
  order: RecoveryTicketOrder,
  { actor, role }: Person,
  { ledger, issuing, clock, random, secondApproval }: RecoveryRoom,
): Promise<NewTicket> {
  if (role !== 'admin' && role !== 'operator')
    throw new BirthmarkError('forbidden', `role ${role} may not make recovery tickets`);
  const serialNumber = parseSerialNumber(order.serialNumber);
  const profile = await compromisedProfile(ledger.read, serialNumber, issuing.idevidProfiles);
  const secret = newSecret('bmt', random);
  const now = clock();
  const record: TicketRecord = {
    id: secret.id,
    secretHash: secret.secretHash,
    namespace: OWN_NAMESPACE,
    serialNumber,
    profile,
    createdAt: now,
    createdBy: actor,
    expiresAt: now + order.expiresInMs,
    ...(order.key !== undefined && { boundKeyHash: Buffer.from(order.key, 'hex') }),
    recovery: true,
    needsApproval: secondApproval,
  };
  await ledger.write(async (tx) => {
    await tx.addTicket({ ...record, createdAt: await ticketTime(tx, record) });
    await tx.appendAudit([
      {
        at: now,
        actor,
        action: 'ticket.create',
        subject: `device:${OWN_NAMESPACE}/${serialNumber}`,
        outcome: secondApproval ? 'waiting' : 'done',
        facts: {
          ticket: secret.id,
          profile,
          recovery: true,
          expiresAt: record.expiresAt,
          ...(record.boundKeyHash && { keyHash: toHex(record.boundKeyHash) }),
        },
      },
    ]);
  });
  return {
    id: secret.id,
    ticket: secret.text,
    serialNumber,
    profile,
    expiresAt: record.expiresAt,
    needsApproval: secondApproval,
  };
}

/** The profile of the IDevID that was lost. */
async function compromisedProfile(
  reads: LedgerReads,
  serialNumber: string,
  idevidProfiles: ReadonlySet<string>,
): Promise<string> {
  const [device] = await reads.findDevices([{ namespace: OWN_NAMESPACE, serialNumber }]);
  if (!device)
    throw new BirthmarkError(
      'device-unknown',
      `there is no device ${serialNumber} in namespace ${OWN_NAMESPACE}`,
    );
  const idevids = (await reads.findFactsByDevices([device.id])).filter(({ profile }) =>
    idevidProfiles.has(profile),
  );
  const revocations = await reads.findRevocations(idevids.map(({ id }) => id));
  const last = idevids.at(-1);
  const isOut = (device.state === 'quarantined' || device.state === 'compromised') && last;
  if (isOut && revocations.at(-1)?.reason === 'keyCompromise') return last.profile;
  throw new BirthmarkError(
    'bad-request',
    `device ${serialNumber} is ${device.state}, and its IDevID was not given up; a recovery ticket is for one whose IDevID is ` +
      'compromised (birthmark device recover --credential idevid)',
    { field: 'serialNumber' },
  );
}

/**
 * Another person says yes to a recovery ticket.
 *
 * @throws BirthmarkError `not-found`, `forbidden`, `ticket-expired`
 */
export function approveRecoveryTicket(
  id: string,
  { actor, role, madeBy }: Person,
  { ledger, clock }: Pick<RecoveryRoom, 'ledger' | 'clock'>,
): Promise<TicketRecord> {
  const now = clock();
  return ledger.write(async (tx) => {
    const ticket = await tx.findTicket(id);
    if (!ticket?.needsApproval)
      throw new BirthmarkError(
        'not-found',
        `no recovery ticket ${JSON.stringify(id).slice(0, 40)} waits for approval`,
      );
    if (role !== 'admin' && role !== 'operator')
      throw new BirthmarkError('forbidden', `role ${role} may not approve recovery tickets`);
    if (actor === ticket.createdBy || madeBy === ticket.createdBy)
      throw new BirthmarkError(
        'forbidden',
        'who made a recovery ticket cannot approve it, nor can a token that he made: ask another person',
      );
    if (ticket.expiresAt <= now)
      throw new BirthmarkError('ticket-expired', 'the ticket has expired; make another one');
    if (ticket.approvedAt !== undefined) return ticket;
    await tx.approveTicket(id, actor, now);
    await tx.appendAudit([
      {
        at: now,
        actor,
        action: 'ticket.approve',
        subject: `device:${ticket.namespace}/${ticket.serialNumber}`,
        outcome: 'done',
        facts: { ticket: id, madeBy: ticket.createdBy },
      },
    ]);
    return { ...ticket, approvedAt: now, approvedBy: actor };
  });
}
