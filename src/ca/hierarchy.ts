import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Signer } from '../keys/signer.ts';
import { encodeName } from '../x509/name.ts';
import { asIssuer, type CertifiedCa, certifyCa } from './certify-ca.ts';
import type { AuthorityRecord, CaLedger, CaTx } from './ports.ts';
import type { PublishedUrls } from './published-urls.ts';

/** An authority to be made. The root comes first; `issuer` names one that came before, or itself. */
export interface AuthorityPlan {
  readonly name: string;
  readonly issuer: string;
  readonly organization: string;
  readonly commonName: string;
  readonly validityDays: number;
  /** How many CAs may follow below it. */
  readonly pathLength: number;
  readonly signer: Signer;
}

/**
 * Issues the certificates of a new hierarchy and records them in one transaction. Each is linted before it is signed and
 * read again by two other libraries before it counts.
 *
 * @throws BirthmarkError `lint-failed`, `name-invalid`, `internal`
 */
export async function createHierarchy(
  plans: readonly AuthorityPlan[],
  { ledger, urls, now, random }: { ledger: CaLedger; urls: PublishedUrls; now: number; random: RandomBytes },
): Promise<readonly AuthorityRecord[]> {
  refuseSameNames(plans);
  const options = { urls, now, random, vouchedBy: 'operator:local' };
  const made = new Map<string, { readonly record: AuthorityRecord; readonly certified: CertifiedCa }>();
  for (const plan of plans) {
    const { name, signer, issuer: issuerName } = plan;
    const issuerPlan = plans.find((one) => one.name === issuerName);
    const issuer = made.get(issuerName)?.record;
    if (!issuerPlan || (!issuer && issuerPlan !== plan)) {
      throw new BirthmarkError(
        'internal',
        `authority ${name} is issued by ${issuerName}, which was not made before it`,
      );
    }
    const certified = await certifyCa(
      { ...plan, subject: subjectOf(plan), spki: signer.spki, profile: 'ca', holder: plan.commonName },
      issuer
        ? asIssuer(issuerName, issuerPlan.signer, issuer.certificate)
        : { name: issuerName, signer: issuerPlan.signer },
      options,
    );
    const record: AuthorityRecord = {
      ...{ name, family: name, generation: 1, state: 'current', issuer: issuerName },
      certificate: certified.certificate,
      ...{ createdAt: now, publishedAt: now, activatedAt: now },
    };
    made.set(name, { record, certified });
  }
  const all = [...made.values()];
  await ledger.write(async (tx) => {
    await recordCertified(
      tx,
      all.map(({ certified }) => certified),
    );
    await tx.claimKeys(
      all.map(({ certified, record }) => ({
        keyHash: certified.reservation.keyHash,
        holder: `authority:${record.name}`,
      })),
    );
    await tx.addAuthorities(all.map(({ record }) => record));
    await tx.appendAudit(
      all.map(({ record }) => ({
        at: now,
        actor: 'local',
        action: 'authority.create',
        subject: `authority:${record.name}`,
        outcome: 'done',
      })),
    );
  });
  return all.map(({ record }) => record);
}

/** Takes serials and signatures down, in the unit of work that is open. */
export async function recordCertified(tx: CaTx, certified: readonly CertifiedCa[]): Promise<void> {
  const ids = await tx.reserve(certified.map(({ reservation }) => reservation));
  await tx.commit(certified.map(({ signature }, at) => ({ id: ids[at] ?? 0, signature })));
}

/** An authority's subject, DER. */
export function subjectOf({
  organization,
  commonName,
}: Pick<AuthorityPlan, 'organization' | 'commonName'>): Buffer {
  return encodeName([
    { type: 'O', value: organization },
    { type: 'CN', value: commonName },
  ]);
}

/** Chains, CRLs and OCSP tell authorities apart by their names (RFC 5280 §4.1.2.6). */
function refuseSameNames(plans: readonly AuthorityPlan[]): void {
  const byName = new Map<string, string>();
  for (const { name, organization, commonName } of plans) {
    const subject = JSON.stringify([organization, commonName]);
    const other = byName.get(subject);
    if (other !== undefined) {
      throw new BirthmarkError(
        'name-invalid',
        `authorities ${other} and ${name} have one name, O=${organization}, CN=${commonName}; give each its own`,
        { field: `authorities.${name}.commonName` },
      );
    }
    byName.set(subject, name);
  }
}
