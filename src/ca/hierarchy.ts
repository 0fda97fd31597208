import { BirthmarkError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Signer } from '../keys/signer.ts';
import { SIGNATURE_ALGORITHMS } from '../x509/algorithms.ts';
import { assembleSigned, encodeTbsCertificate, parseCertificate } from '../x509/certificate.ts';
import * as extensions from '../x509/extensions.ts';
import { encodeName } from '../x509/name.ts';
import { hashKey, keyIdentifier } from '../x509/public-key.ts';
import { readByOthers, verifiesByOthers } from '../x509/second-opinion.ts';
import type { AuthorityRecord, CaLedger, Reservation } from './ports.ts';
import { refuseLintErrors } from './prepare.ts';
import type { PublishedUrls } from './published-urls.ts';
import { newSerial } from './serial.ts';

const DAY_MS = 86_400_000;

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

interface Made {
  readonly record: AuthorityRecord;
  readonly reservation: Reservation;
  readonly signature: Uint8Array;
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
  const made = new Map<string, Made>();
  for (const plan of plans) {
    const issuerPlan = plans.find(({ name }) => name === plan.issuer);
    const issuer = made.get(plan.issuer)?.record;
    if (!issuerPlan || (!issuer && issuerPlan !== plan)) {
      throw new BirthmarkError(
        'internal',
        `authority ${plan.name} is issued by ${plan.issuer}, which was not made before it`,
      );
    }
    made.set(plan.name, await makeAuthority(plan, issuerPlan, issuer, urls, now, random));
  }
  const all = [...made.values()];
  await ledger.write(async (tx) => {
    const ids = await tx.reserve(all.map(({ reservation }) => reservation));
    await tx.commit(all.map(({ signature }, at) => ({ id: ids[at] ?? 0, signature })));
    await tx.claimKeys(
      all.map(({ reservation, record }) => ({
        keyHash: reservation.keyHash,
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

async function makeAuthority(
  plan: AuthorityPlan,
  issuerPlan: AuthorityPlan,
  issuer: AuthorityRecord | undefined,
  urls: PublishedUrls,
  now: number,
  random: RandomBytes,
): Promise<Made> {
  const serial = newSerial(now, random);
  const signatureAlgorithm = SIGNATURE_ALGORITHMS[issuerPlan.signer.algorithm].der;
  const issuerCertificate = issuer && parseCertificate(issuer.certificate);
  const notBefore = Math.floor(now / 1000) * 1000;
  const notAfter = Math.min(
    notBefore + plan.validityDays * DAY_MS,
    issuerCertificate?.tbs.notAfter.at ?? Number.POSITIVE_INFINITY,
  );
  const subject = encodeName([
    { type: 'O', value: plan.organization },
    { type: 'CN', value: plan.commonName },
  ]);
  const tbs = encodeTbsCertificate({
    serial,
    signatureAlgorithm,
    issuer: issuerCertificate?.tbs.subject ?? subject,
    notBefore,
    notAfter,
    subject,
    spki: plan.signer.spki,
    extensions: [
      extensions.authorityKeyIdentifier(keyIdentifier(issuerPlan.signer.spki)),
      extensions.subjectKeyIdentifier(keyIdentifier(plan.signer.spki)),
      extensions.caConstraints(plan.pathLength),
      extensions.keyUsage(['keyCertSign', 'cRLSign']),
      extensions.crlDistributionPoints(urls.crl(plan.issuer)),
      extensions.authorityInfoAccess({ caIssuers: urls.certificate(plan.issuer), ocsp: urls.ocsp() }),
    ],
  });
  refuseLintErrors(tbs, {
    kind: 'ca',
    ...(issuerCertificate === undefined ? {} : { issuer: issuerCertificate }),
  });
  const signature = await issuerPlan.signer.sign(tbs);
  const certificate = assembleSigned(tbs, signatureAlgorithm, signature);
  const complaints = await readByOthers(certificate);
  if (complaints.length > 0 || !(await verifiesByOthers(certificate, issuer?.certificate ?? certificate))) {
    throw new BirthmarkError(
      'internal',
      `other libraries read the new certificate of ${plan.name} differently: ${complaints.join('; ')}`,
    );
  }
  return {
    record: { name: plan.name, certificate, issuer: plan.issuer, createdAt: now },
    reservation: {
      serial,
      authority: plan.issuer,
      deviceId: null,
      profile: 'ca',
      keyHash: hashKey(plan.signer.spki),
      notBefore,
      notAfter,
      shard: 0,
      tbs,
      vouchedBy: 'operator:local',
      holder: plan.commonName,
      reservedAt: now,
    },
    signature,
  };
}
