import { X509Certificate } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { writeDurably } from '../../core/durable-file.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { createFileSigner, writeKeyFile } from '../../keys/file-signer.ts';
import { generateKey, keyAlgorithmFor } from '../../keys/key-algorithm.ts';
import { EXTENDED_KEY_USAGE } from '../../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../../x509/name.ts';
import { toPem } from '../../x509/pem.ts';
import { hashKey, keyIdentifier } from '../../x509/public-key.ts';
import type { Authorities, Authority } from '../authority.ts';
import { signAndCommit, toReservation } from '../issue.ts';
import { readOwnCertificate } from '../own-certificate.ts';
import type { CaLedger } from '../ports.ts';
import { createPreparer } from '../prepare.ts';
import type { Profile } from '../profile.ts';
import type { PublishedUrls } from '../published-urls.ts';
import type { ResponderHome } from './responder-signer.ts';

export interface ResponderRenewal extends ResponderHome {
  readonly authorities: Authorities;
  readonly ledger: CaLedger;
  readonly urls: PublishedUrls;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Nobody can ask whether it was revoked, so it does not live long (RFC 6960 §4.2.2.2.1). */
const VALIDITY_DAYS = 14;

function responderProfile(authority: string, organization: string): Profile {
  return {
    name: 'ocsp-responder',
    kind: 'ocsp-responder',
    authority,
    organization,
    commonName: 'holder',
    validityDays: VALIDITY_DAYS,
    subjectKeyIdentifier: true,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: [EXTENDED_KEY_USAGE.ocspSigning],
    policies: [],
    authorityInfoAccess: false,
    crlDistributionPoint: false,
    hardwareModuleName: false,
    allowedKeys: ['ec-p256', 'ec-p384', 'ed25519'],
    sameAlgorithmChain: true,
    newKey: false,
  };
}

/**
 * Gives each authority a certificate for its OCSP signer: where there is none, where a third of its life is left, where it
 * is another key's or another authority's, where it was revoked or is held. Their keys are of the authorities' algorithms and
 * stay the same, unless one is blocked.
 *
 * @returns the names of the authorities whose signer has a new one
 * @throws BirthmarkError `key-blocked`, or as the parts do; every authority was tried before
 */
export async function renewResponderCertificates(renewal: ResponderRenewal): Promise<readonly string[]> {
  const renewed: string[] = [];
  const errors: unknown[] = [];
  for (const authority of renewal.authorities.values()) {
    try {
      if (await renewOne(authority, renewal)) renewed.push(authority.name);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
  return renewed;
}

async function renewOne(authority: Authority, renewal: ResponderRenewal): Promise<boolean> {
  const { ledger, authorities, urls, clock, random, passphrase } = renewal;
  const files = renewal.files(authority.name);
  const paths = { keyPath: files.key, certificatePath: files.certificate, passphrase };
  const own = await readOwnCertificate(paths, ledger.read, clock());
  if (own.certificate && !own.isOld && isOf(own.certificate, authority)) return false;
  const key = own.key ?? generateKey(keyAlgorithmFor(authority.signer.algorithm));
  const { spki } = createFileSigner(key);
  const keyHash = hashKey(spki);
  const profile = responderProfile(authority.name, organizationOf(authority));
  // IDevIDs have no end, and somebody must answer for them under the key that signed them (RFC 6960 §4.2.2.2).
  const prepare = createPreparer({ profile, authority, urls, shards: 1, random, outlivesAuthority: true });
  const holder = `${authority.name} OCSP responder`;
  const now = clock();
  const prepared = prepare({ commonName: holder, altNames: [], spki, keyId: keyIdentifier(spki) }, now);
  const owner = `ocsp-responder:${authority.name}`;
  const id = await ledger.write(async (tx) => {
    const [known] = await tx.findKeys([keyHash]);
    if (known?.blocked !== undefined || (known && known.holder !== owner))
      throw new BirthmarkError(
        'key-blocked',
        `the key in ${files.key} must not be used; remove the file, and a new one is made`,
      );
    if (!known) await tx.claimKeys([{ keyHash, holder: owner }]);
    const row = toReservation(prepared, { deviceId: null, keyHash, vouchedBy: 'system', holder }, now);
    const [reserved = 0] = await tx.reserve([row]);
    const facts = { profile: profile.name, serial: toHex(prepared.serial) };
    await tx.appendAudit([
      { at: now, actor: 'system', action: 'certificate.issue', subject: owner, outcome: 'done', facts },
    ]);
    return reserved;
  });
  const [issued] = await signAndCommit(ledger, authorities, [{ kind: 'reserved', id, prepared }]);
  if (issued === undefined || issued instanceof BirthmarkError)
    throw issued ?? new BirthmarkError('internal', 'a responder certificate was left without an outcome');
  // Both were good for nothing until now, so it is no loss to crash between them.
  if (!own.key) writeKeyFile(files.key, key, passphrase);
  writeDurably(files.certificate, toPem('CERTIFICATE', issued.certificate), 0o644);
  return true;
}

function isOf(certificate: X509Certificate, authority: Authority): boolean {
  return certificate.verify(new X509Certificate(authority.certificate.raw).publicKey);
}

/** O of the authority, or its name where it has none. */
function organizationOf({ certificate, name }: Authority): string {
  const attributes = parseName(certificate.tbs.subject).flat();
  return attributes.find(({ oid }) => oid === ATTRIBUTE_OIDS.O)?.value ?? name;
}
