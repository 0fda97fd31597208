import { hash } from 'node:crypto';
import type { Authorities } from '../ca/authority.ts';
import type { Actor } from '../core/audit.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { isLabel, isPrintable, OWN_NAMESPACE } from '../core/identifiers.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { KEY_USAGE } from '../x509/extensions.ts';
import { keyWeakness, NO_WEAKNESS } from '../x509/path/key-strength.ts';
import { PathCertificate } from '../x509/path/path-certificate.ts';
import { parsePemBlocks } from '../x509/pem.ts';
import type { ChainValidity, Ledger, TrustedCa } from './ports.ts';

export interface TrustOrder {
  /** PEM, one certificate or several of the same manufacturer. */
  readonly certificate: string;
  readonly namespace: string;
  readonly serialPattern?: string;
  readonly validity?: ChainValidity;
}

export interface TrustRoom {
  readonly ledger: Ledger;
  readonly authorities: Authorities;
  readonly clock: Clock;
}

const MAX_PATTERN = 128;

/**
 * Trusts a manufacturer's CA, or several, for the devices of one namespace: all of them or none.
 *
 * @throws BirthmarkError `name-invalid`, `bad-request`, `bad-pem`, `bad-base64`, `bad-der`, `bad-certificate`,
 * `key-too-small`, `key-algorithm-not-allowed`, `key-unreadable`, `signature-algorithm-not-allowed`, `already-exists`
 */
export async function trustCa(
  { certificate: pem, namespace, serialPattern, validity = 'all' }: TrustOrder,
  actor: Actor,
  { ledger, authorities, clock }: TrustRoom,
): Promise<readonly TrustedCa[]> {
  assertForeign(namespace);
  if (serialPattern !== undefined) assertSerialPattern(serialPattern);
  const now = clock();
  const blocks = parsePemBlocks(pem, ['CERTIFICATE'], 'certificate');
  const found = blocks.map((der, at) => {
    try {
      const ca = readCa(der, validity, now);
      assertNotOurs(ca, authorities);
      return ca;
    } catch (error) {
      if (!(error instanceof BirthmarkError)) throw error;
      const which = blocks.length === 1 ? '' : `certificate ${at + 1} of ${blocks.length}: `;
      throw new BirthmarkError(error.code, which + error.message, { field: 'certificate', cause: error });
    }
  });
  const records = found.map(
    ({ raw: certificate }): TrustedCa => ({
      namespace,
      certificate,
      fingerprint: hash('sha256', certificate, 'buffer'),
      ...(serialPattern === undefined ? {} : { serialPattern }),
      validity,
      addedAt: now,
      addedBy: actor,
    }),
  );
  await ledger.write(async (tx) => {
    const others = (await tx.listTrustedCas()).filter((other) => other.namespace !== namespace);
    for (const ca of found) assertInOneNamespace(ca, others);
    for (const record of records) await tx.addTrustedCa(record);
    const facts = { validity, ...(serialPattern === undefined ? {} : { serialPattern }) };
    await tx.appendAudit(
      records.map(({ fingerprint }) => ({
        at: now,
        actor,
        action: 'trust.add',
        subject: `namespace:${namespace}`,
        outcome: 'done',
        facts: { fingerprint: toHex(fingerprint), ...facts },
      })),
    );
  });
  return records;
}

/**
 * Trusts a manufacturer's CA no longer. What its devices were given stays theirs.
 *
 * @param fingerprint SHA-256 of the certificate
 * @throws BirthmarkError `not-found`
 */
export async function distrustCa(
  fingerprint: Uint8Array,
  actor: Actor,
  { ledger, clock }: Pick<TrustRoom, 'ledger' | 'clock'>,
): Promise<void> {
  await ledger.write(async (tx) => {
    const ca = (await tx.listTrustedCas()).find((one) => equalBytes(one.fingerprint, fingerprint));
    const text = toHex(fingerprint);
    if (!ca || !(await tx.removeTrustedCa(fingerprint)))
      throw new BirthmarkError('not-found', `no trusted CA has fingerprint ${text}`, {
        field: 'fingerprint',
      });
    await tx.appendAudit([
      {
        at: clock(),
        actor,
        action: 'trust.remove',
        subject: `namespace:${ca.namespace}`,
        outcome: 'done',
        facts: { fingerprint: text },
      },
    ]);
  });
}

function assertForeign(namespace: string): void {
  const field = 'namespace';
  if (!isLabel(namespace)) {
    throw new BirthmarkError(
      'name-invalid',
      'namespace must have 1 to 64 lower-case letters, digits and inner hyphens',
      { field },
    );
  }
  if (namespace === OWN_NAMESPACE) {
    throw new BirthmarkError(
      'name-invalid',
      `namespace ${OWN_NAMESPACE} is that of the devices that were born here; give the manufacturer another one`,
      { field },
    );
  }
}

/** A pattern that no serial number can fit is a mistake. */
function assertSerialPattern(pattern: string): void {
  if (pattern.length <= MAX_PATTERN && isPrintable(pattern.replaceAll('*', '?'))) return;
  throw new BirthmarkError(
    'bad-request',
    `serialPattern must have 1 to ${MAX_PATTERN} characters that a serial number can have, * for any run, ? for one`,
    { field: 'serialPattern' },
  );
}

/** A certificate that may issue others, by a key that is worth it (RFC 5280 §4.2.1.3, §4.2.1.9). */
function readCa(der: Uint8Array, validity: ChainValidity, now: number): PathCertificate {
  const ca = new PathCertificate(der);
  const { tbs, rules, strength, key, algorithm, title } = ca;
  if (tbs.version !== 3) throw unfit(`${title} is an X.509 certificate of version ${tbs.version}, not 3`);
  if (rules instanceof BirthmarkError) throw rules;
  if (!rules.ca) throw unfit(`${title} is no CA's certificate: its basicConstraints do not have cA TRUE`);
  if (rules.keyUsage && !rules.keyUsage.includes(KEY_USAGE.keyCertSign))
    throw unfit(`${title} may not issue certificates: its keyUsage lacks keyCertSign`);
  const weakness = keyWeakness(strength, NO_WEAKNESS);
  if (weakness !== undefined) {
    const small = strength.kind === 'rsa' && strength.defect === undefined;
    throw new BirthmarkError(small ? 'key-too-small' : 'key-algorithm-not-allowed', `${title}: ${weakness}`);
  }
  if (key instanceof BirthmarkError) throw key;
  // Nobody looks at the signature that a root made over itself: old ones may have SHA-1 there.
  const selfIssued = equalBytes(tbs.subject, tbs.issuer);
  if (!selfIssued && (!algorithm || algorithm.weak.length > 0)) {
    throw new BirthmarkError(
      'signature-algorithm-not-allowed',
      `${title} is signed with ${algorithm?.weak.join(' and ') ?? 'an algorithm that is not taken'}`,
    );
  }
  if (validity === 'all' && tbs.notAfter.at < now) {
    throw unfit(
      `${title} expired at ${new Date(tbs.notAfter.at).toISOString()}; validity leaf trusts it all the same`,
    );
  }
  return ca;
}

/** Whoever has its key, our own authorities speak for our own namespace only. */
function assertNotOurs({ tbs, title }: PathCertificate, authorities: Authorities): void {
  const ours = [...authorities.values()].find(({ certificate }) =>
    equalBytes(certificate.tbs.spki, tbs.spki),
  );
  if (ours)
    throw new BirthmarkError('already-exists', `${title} has the key of our own authority ${ours.name}`);
}

/** One key in two namespaces would let the devices of one manufacturer pass for those of another. */
function assertInOneNamespace({ tbs, title }: PathCertificate, others: readonly TrustedCa[]): void {
  const other = others.find(({ certificate }) =>
    equalBytes(parseCertificate(certificate).tbs.spki, tbs.spki),
  );
  if (!other) return;
  throw new BirthmarkError(
    'already-exists',
    `the key of ${title} is trusted in namespace ${other.namespace}`,
    {
      field: 'namespace',
    },
  );
}

function unfit(what: string): BirthmarkError {
  return new BirthmarkError('bad-certificate', what);
}
