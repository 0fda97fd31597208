import type { Actor } from '../../core/audit.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import type { AuthorityRecord, StandingCertificates } from '../ports.ts';
import type { RolloverRoom } from './room.ts';

export interface Retirement {
  readonly record: AuthorityRecord;
  /** False where it was retired already. */
  readonly moved: boolean;
}

/** A process that has not looked since may have issued until then. */
const SETTLED_MS = 10_000;

/**
 * Retires a former generation under which nothing stands any more, or gives up one that was prepared: it leaves the bundle and
 * the answers of EST, and its lists and OCSP answers go on.
 *
 * @throws BirthmarkError `not-found`, `authority-in-use`
 */
export async function retireGeneration(room: RolloverRoom, name: string, actor: Actor): Promise<Retirement> {
  const { ledger, roster, clock, publish } = room;
  await roster.look();
  const record = findGeneration(room, name);
  if (record.state === 'retired') return { record, moved: false };
  if (record.state === 'current')
    throw inUse(`${name} issues; rotate ${record.family} first, so that another generation does`);
  if (record.state === 'former' && clock() < (record.formerAt ?? 0) + SETTLED_MS)
    throw inUse(`${name} issued until a moment ago; try again in ${SETTLED_MS / 1000} seconds`);
  const { certificates, until } = await standingUnder(room, name);
  if (certificates > 0)
    throw inUse(
      `${certificates} certificates of ${name} still stand, the last until ${new Date(until ?? 0).toISOString()}: they must end, be ` +
        'replaced and revoked first',
    );
  const moved = await ledger.write(async (tx) => {
    const now = (await tx.listAuthorities()).find((one) => one.name === name);
    if (now?.state !== record.state) return false;
    const at = clock();
    await tx.moveAuthority(name, 'retired', at);
    const subject = `authority:${name}`;
    const facts = { was: record.state };
    await tx.appendAudit([{ at, actor, action: 'authority.retire', subject, outcome: 'done', facts }]);
    return true;
  });
  await publish();
  return { record: findGeneration(room, name), moved };
}

/**
 * What still stands under a generation: what must end before it can be retired. Goes through all that was issued since it was
 * made.
 *
 * @throws BirthmarkError `not-found`
 */
export async function standingUnder(room: RolloverRoom, name: string): Promise<StandingCertificates> {
  const { certificate } = findGeneration(room, name);
  const { ledger, clock } = room;
  const own = await ledger.read.findBySerial(parseCertificate(certificate).tbs.serial);
  return ledger.read.countStanding(name, clock(), own?.id ?? 0);
}

/** @throws BirthmarkError `not-found` */
export function findGeneration({ roster }: RolloverRoom, name: string): AuthorityRecord {
  const record = roster.records.find((one) => one.name === name);
  if (record) return record;
  throw new BirthmarkError(
    'not-found',
    `there is no authority ${JSON.stringify(name).slice(0, 80)}; there are ${roster.records.map((one) => one.name).join(', ')}`,
    { field: 'name' },
  );
}

function inUse(message: string): BirthmarkError {
  return new BirthmarkError('authority-in-use', message);
}
