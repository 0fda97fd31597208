import type { Actor } from '../../core/audit.ts';
import { equalBytes } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { type AuthorityKeyAlgorithm, keyAlgorithmFor } from '../../keys/key-algorithm.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import type { Authority } from '../authority.ts';
import { asIssuer, type CertifiedCa, certifyCa } from '../certify-ca.ts';
import { recordCertified, subjectOf } from '../hierarchy.ts';
import type { AuthorityRecord, CaTx } from '../ports.ts';
import { certifyAcross } from './certify-across.ts';
import { currentOf, generationsOf, type RolloverRoom } from './room.ts';

export interface GenerationOrder {
  readonly family: string;
  /** What is not said is as the configuration has it. */
  readonly algorithm?: AuthorityKeyAlgorithm;
  readonly validityDays?: number;
  readonly commonName?: string;
  /** The generation that it is to follow: said again after the answer was lost, it makes no second one. */
  readonly from?: string;
}

export interface PreparedGeneration {
  readonly record: AuthorityRecord;
  /** False where it was there already, of an attempt before or by somebody else. */
  readonly made: boolean;
}

const HOUR_MS = 3_600_000;
/** ub-common-name of RFC 5280 Appendix A.1, in characters. */
const MAX_NAME = 64;

/**
 * Makes the next generation of an authority under the current root (of a root: with certificates across, RFC 4210 §4.4), and
 * publishes it. It issues nothing until it is activated.
 *
 * Crash order: the key lies in its file, then certificate, authority and audit record are one transaction, then all of it is
 * published, then that is noted. Saying it again goes on from there; of two who say it at once both get the same generation.
 *
 * @throws BirthmarkError `not-found`, `bad-request`, `already-exists`, `name-invalid`, `authority-revoked`, `lint-failed`, or as the room's parts do
 */
export async function prepareGeneration(
  room: RolloverRoom,
  order: GenerationOrder,
  actor: Actor,
): Promise<PreparedGeneration> {
  const { roster } = room;
  await roster.look();
  const generations = generationsOf(order.family, roster.records);
  const current = currentOf(generations);
  const waiting = generations.find(({ state }) => state === 'prepared');
  const followed = generations.find(({ generation }) => generation === current.generation - 1);
  if (order.from !== undefined && order.from !== current.name) {
    if (order.from === followed?.name) return { record: current, made: false };
    throw new BirthmarkError(
      'bad-request',
      `from: ${order.from} is not the generation that issues now, which is ${current.name}`,
      { field: 'from' },
    );
  }
  if (waiting)
    return { record: await finish(room, asOrdered(waiting, order, roster.authorities)), made: false };
  const since = current.activatedAt ?? 0;
  if (order.from === undefined && followed && room.clock() < since + HOUR_MS)
    throw new BirthmarkError(
      'already-exists',
      `${current.name} took over from ${followed.name} less than an hour ago; where yet another one is wanted, say that it is to ` +
        `follow ${current.name} (from)`,
      { field: 'from' },
    );
  const made = await make(room, order, generations, current, actor);
  await roster.look();
  const record = roster.records.find(({ family, state }) => family === order.family && state === 'prepared');
  // Somebody else has activated or retired it meanwhile.
  if (!record) return prepareGeneration(room, { ...order, from: current.name }, actor);
  return { record: await finish(room, record), made };
}

/** Publishes a generation that is not yet, and notes when; gives it as it is then. */
export async function finish(room: RolloverRoom, record: AuthorityRecord): Promise<AuthorityRecord> {
  const { ledger, roster, clock, publish } = room;
  if (record.publishedAt !== undefined) return record;
  await publish();
  await ledger.write((tx) => tx.notePublishedAuthority(record.name, clock()));
  await roster.look();
  return roster.records.find(({ name }) => name === record.name) ?? record;
}

async function make(
  room: RolloverRoom,
  order: GenerationOrder,
  generations: readonly AuthorityRecord[],
  current: AuthorityRecord,
  actor: Actor,
): Promise<boolean> {
  const { ledger, roster, urls, clock, random, obtainSigner } = room;
  const { family } = order;
  const defaults = room.defaultsOf(family);
  const isRoot = current.issuer === current.name;
  const issuer = isRoot ? undefined : roster.current('root');
  if (!defaults || (!isRoot && !issuer))
    throw new BirthmarkError('internal', `nobody knows how authority ${family} is made`);
  const generation = Math.max(...generations.map((one) => one.generation)) + 1;
  const name = `${family}-${generation}`;
  const commonName = order.commonName ?? numbered(defaults.commonName, generation);
  const { organization } = defaults;
  // The path lengths of a root's certificate leave no room for another CA between: a certificate across must be self-issued,
  // and is by the name that both roots have (RFC 5280 §6.1.4 (l), RFC 4210 §4.4).
  const subject = isRoot
    ? parseCertificate(current.certificate).tbs.subject
    : subjectOf({ organization, commonName });
  if (!isRoot) refuseSameName(subject, roster.records, commonName);
  const signer = obtainSigner(name, order.algorithm ?? defaults.algorithm);
  const now = clock();
  const options = { urls, now, random, vouchedBy: actor };
  const certified = await certifyCa(
    {
      ...{ name, subject, spki: signer.spki, profile: 'ca', holder: isRoot ? name : commonName },
      validityDays: order.validityDays ?? defaults.validityDays,
      pathLength: isRoot ? 1 : 0,
    },
    issuer ? asIssuer(issuer.name, issuer.signer, issuer.certificate.raw) : { name, signer },
    options,
  );
  const crossed = isRoot
    ? await certifyAcross(
        asIssuer(name, signer, certified.certificate),
        roster.records.flatMap((one) => rootOf(one, family, roster.authorities)),
        options,
      )
    : [];
  const record: AuthorityRecord = {
    ...{ name, family, generation, state: 'prepared', issuer: issuer?.name ?? name, createdAt: now },
    certificate: certified.certificate,
  };
  return ledger.write(async (tx) => {
    const there = await tx.listAuthorities();
    if (there.some((one) => one.family === family && (one.state === 'prepared' || one.name === name)))
      return false;
    await recordCertified(tx, [certified, ...crossed.map((one) => one.certified)]);
    await claim(tx, certified, name);
    await tx.addAuthorities([record]);
    await tx.addCrossCertificates(
      crossed.map(({ subject: of, issuer: by, certified: { certificate } }) => ({
        ...{ subject: of, issuer: by, certificate },
      })),
    );
    const facts = { follows: current.name, issuer: record.issuer, algorithm: signer.algorithm };
    await tx.appendAudit([
      { at: now, actor, action: 'authority.prepare', subject: `authority:${name}`, outcome: 'done', facts },
    ]);
    return true;
  });
}

function claim(tx: CaTx, { reservation: { keyHash } }: CertifiedCa, name: string): Promise<void> {
  return tx.claimKeys([{ keyHash, holder: `authority:${name}` }]);
}

/** Roots that somebody may still trust alone. */
function rootOf(
  { name, family, state }: AuthorityRecord,
  wanted: string,
  authorities: ReadonlyMap<string, Authority>,
): readonly Authority[] {
  const authority = authorities.get(name);
  return family === wanted && state !== 'retired' && authority ? [authority] : [];
}

/** What is prepared already must be what is asked for. */
function asOrdered(
  record: AuthorityRecord,
  { algorithm, commonName }: GenerationOrder,
  authorities: ReadonlyMap<string, Authority>,
): AuthorityRecord {
  const authority = authorities.get(record.name);
  const differs =
    (algorithm !== undefined &&
      authority !== undefined &&
      keyAlgorithmFor(authority.signer.algorithm) !== algorithm &&
      'algorithm') ||
    (commonName !== undefined && !hasName(record, commonName) && 'commonName');
  if (!differs) return record;
  throw new BirthmarkError(
    'already-exists',
    `${record.name} is prepared already, with another ${differs}; activate it, or retire it and prepare another one`,
    { field: differs },
  );
}

function hasName({ certificate }: AuthorityRecord, commonName: string): boolean {
  return Buffer.from(parseCertificate(certificate).tbs.subject).includes(commonName);
}

/** Chains, lists and OCSP tell authorities of different families and generations apart by their names (RFC 5280 §4.1.2.6). */
function refuseSameName(subject: Uint8Array, records: readonly AuthorityRecord[], commonName: string): void {
  const other = records.find((one) => equalBytes(parseCertificate(one.certificate).tbs.subject, subject));
  if (other)
    throw new BirthmarkError(
      'name-invalid',
      `${other.name} has the name ${JSON.stringify(commonName).slice(0, 80)} already; give another commonName`,
      { field: 'commonName' },
    );
}

/** What tells generations apart must not be cut off. */
function numbered(commonName: string, generation: number): string {
  const end = ` ${generation}`;
  return `${[...commonName]
    .slice(0, MAX_NAME - end.length)
    .join('')
    .trimEnd()}${end}`;
}
