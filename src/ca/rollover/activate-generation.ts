import type { Actor } from '../../core/audit.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import type { AuthorityRecord } from '../ports.ts';
import { finish } from './prepare-generation.ts';
import { currentOf, generationsOf, type RolloverRoom } from './room.ts';

export interface ActivationOrder {
  readonly family: string;
  /** Before it was published for as long as it should be. */
  readonly now: boolean;
}

export interface Activation {
  readonly record: AuthorityRecord;
  /** False where it was current already. */
  readonly moved: boolean;
}

/**
 * Lets the prepared generation of a family issue, and makes the one before it a former one: one transaction, which every
 * process sees at its next look, within a second. Saying it again changes nothing.
 *
 * @throws BirthmarkError `not-found`, `authority-not-ready`, `authority-revoked`
 */
export async function activateGeneration(
  room: RolloverRoom,
  { family, now: atOnce }: ActivationOrder,
  actor: Actor,
): Promise<Activation> {
  const { ledger, roster, clock, publishedMs } = room;
  await roster.look();
  const generations = generationsOf(family, roster.records);
  const current = currentOf(generations);
  const prepared = generations.find(({ state }) => state === 'prepared');
  if (!prepared) {
    if (current.generation > 1) return { record: current, moved: false };
    throw new BirthmarkError(
      'authority-not-ready',
      `nothing is prepared to follow ${current.name}; rotate it first`,
    );
  }
  await refuseTakenBack(room, prepared);
  const { publishedAt = clock() } = await finish(room, prepared);
  const due = publishedAt + publishedMs;
  if (!atOnce && clock() < due)
    throw new BirthmarkError(
      'authority-not-ready',
      `${prepared.name} was published at ${new Date(publishedAt).toISOString()} and may take over at ${new Date(due).toISOString()}, so that ` +
        'devices and gates learn of it first; where they need not, say now',
    );
  const moved = await ledger.write(async (tx) => {
    const there = await tx.listAuthorities();
    const before = there.find((one) => one.family === family && one.state === 'current');
    const next = there.find(({ name, state }) => name === prepared.name && state === 'prepared');
    if (!before || !next) return false;
    const at = clock();
    await tx.moveAuthority(before.name, 'former', at);
    await tx.moveAuthority(next.name, 'current', at);
    const subject = `authority:${next.name}`;
    const facts = { follows: before.name, now: atOnce };
    await tx.appendAudit([{ at, actor, action: 'authority.activate', subject, outcome: 'done', facts }]);
    return true;
  });
  await roster.look();
  return { record: currentOf(generationsOf(family, roster.records)), moved };
}

/** A key that got out while it waited must not begin to issue. */
async function refuseTakenBack(
  { ledger }: RolloverRoom,
  { name, certificate }: AuthorityRecord,
): Promise<void> {
  const record = await ledger.read.findBySerial(parseCertificate(certificate).tbs.serial);
  const [revocation] = record ? await ledger.read.findRevocations([record.id]) : [];
  if (!revocation) return;
  throw new BirthmarkError(
    'authority-revoked',
    `the certificate of ${name} was revoked or is held; retire it and prepare another one`,
  );
}
