import { hash } from 'node:crypto';
import { type Authorities, chainBelowRoot, madeOf } from '../ca/authority.ts';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { CertificateRecord } from '../ca/ports.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { parseSerialNumber } from '../core/identifiers.ts';
import type { CredentialFacts, DeviceKey } from '../fleet/ports.ts';
import {
  type Certificate,
  findExtension,
  parseCertificate,
  type TbsCertificate,
} from '../x509/certificate.ts';
import { DerReader } from '../x509/der/reader.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { ATTRIBUTE_OIDS, parseName } from '../x509/name.ts';
import { openTrust, type Trust } from '../x509/path/trust.ts';
import { validatePath } from '../x509/path/validate-path.ts';
import type { Verdict } from '../x509/path/verdict.ts';
import { hashKey } from '../x509/public-key.ts';
import type { Voucher } from './label-config.ts';
import type { PeerCertificate } from './peer.ts';
import type { Ledger, TrustedCa } from './ports.ts';
import { takenBackError } from './refuse-taken-back.ts';
import { matchesPattern } from './serial-pattern.ts';

/** A device that was recognized by its certificate. */
export interface DeviceIdentity {
  readonly voucher: Exclude<Voucher, 'ticket'>;
  readonly device: DeviceKey;
  readonly certificate: Certificate;
  /** SHA-256 of its SubjectPublicKeyInfo. */
  readonly keyHash: Uint8Array;
  /** SHA-256 of the certificate, hexadecimal. */
  readonly fingerprint: string;
  /** `certificate:SERIAL` of ours, `manufacturer:NAMESPACE:FINGERPRINT` of others. */
  readonly vouchedBy: string;
  /** What the ledger holds of a certificate of ours. */
  readonly record?: CertificateRecord;
  /** Why the path holds, for people. */
  readonly detail: string;
}

export interface IdentifyOptions {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** For so long after its end an LDevID of ours still counts. */
  readonly graceMs: number;
  /** Told of a certificate that was proven and is revoked or held, before it is refused. */
  readonly onTakenBack?: ((record: CertificateRecord) => void) | undefined;
}

/** Recognizes a device, or throws BirthmarkError `certificate-refused`, `certificate-revoked`, `certificate-held`, `key-blocked`, … */
export type Identify = (peer: PeerCertificate, options: IdentifyOptions) => Promise<DeviceIdentity>;

/** A certificate, with what the ledger has under its serial. */
interface Shown {
  readonly certificate: Certificate;
  readonly facts?: CredentialFacts;
}

const UNREADABLE: ReadonlySet<string> = new Set(['bad-der', 'bad-certificate']);

interface ForeignTrust {
  readonly version: number;
  readonly trust: Trust;
  readonly cas: readonly TrustedCa[];
}

/**
 * Judges the certificates of devices: ours by our root and by the ledger, which must know them to the octet; a manufacturer's
 * by the CAs that were trusted into its namespace. Nothing that a TLS library concluded is looked at.
 */
export function createIdentifier({
  ledger,
  authorities,
  issuing,
}: {
  readonly ledger: Ledger;
  readonly authorities: Authorities;
  readonly issuing: IssuingRoom;
}): Identify {
  const ownTrust = madeOf(authorities, () => {
    const all = [...authorities.values()];
    return openTrust({
      anchors: all.filter(({ isRoot }) => isRoot).map(({ certificate }) => certificate.raw),
      intermediates: all.flatMap(chainBelowRoot),
    });
  });
  let foreign: ForeignTrust | undefined;

  return async (peer, options) => {
    const shown = await lookUp(peer.leaf);
    const verdict = judge(peer, ownTrust(), options.at, 'all', signedUnder(shown));
    // Its issuer may have the name of one of ours, and still be somebody else: only a path to our root makes it ours.
    return verdict.path && shown
      ? byUs(peer, options, verdict, shown)
      : byManufacturer(peer, options, verdict);
  };

  /** The certificate, with what the ledger has under its serial if its issuer is named like one of ours; undefined if it is unreadable. */
  async function lookUp(leaf: Uint8Array): Promise<Shown | undefined> {
    const { knowsName } = ownTrust();
    try {
      const certificate = parseCertificate(leaf, knowsName);
      if (!knowsName(certificate.tbs.issuer)) return { certificate };
      const facts = await ledger.read.findCredential(certificate.tbs.serial);
      return { certificate, ...(facts && { facts }) };
    } catch (error) {
      // What cannot be read is refused where the path is looked at.
      if (error instanceof BirthmarkError && UNREADABLE.has(error.code)) return undefined;
      throw error;
    }
  }

  /**
   * The authority that made the leaf's signature, where the ledger has that very signature over those very octets: our own
   * signer returned it for them, and it was committed as such, so that to verify it would only do that arithmetic again. Who
   * could put one into the ledger that is not so could put an operator there just as well. A rewritten signature (s → n − s)
   * is another one, and is verified.
   */
  function signedUnder(shown: Shown | undefined): Uint8Array | undefined {
    const { certificate, facts: { record } = {} } = shown ?? {};
    if (!certificate || !record?.signature) return undefined;
    if (!equalBytes(record.tbs, certificate.tbs.raw)) return undefined;
    if (!equalBytes(record.signature, certificate.signature)) return undefined;
    return authorities.get(record.authority)?.certificate.raw;
  }

  async function byUs(
    peer: PeerCertificate,
    { at, graceMs, onTakenBack }: IdentifyOptions,
    verdict: Verdict,
    shown: Shown,
  ): Promise<DeviceIdentity> {
    if (verdict.reason !== 'ok' && verdict.reason !== 'expired') throw refused(verdict);
    const { certificate, facts: { record, device, takenBack, keyBlocked } = {} } = shown;
    const { tbs } = certificate;
    const late = verdict.reason === 'expired';
    if (late && !heldUntil(tbs.notAfter.at)) throw refused(verdict);
    if (!record?.signature || !equalBytes(record.tbs, tbs.raw) || record.deviceId === null)
      throw new BirthmarkError(
        'certificate-refused',
        'the certificate is not one of a device of this authority',
      );
    const { kind } = issuing.profile(record.profile);
    if (late && kind !== 'ldevid') throw refused(verdict);
    if (!device || (kind !== 'idevid' && kind !== 'ldevid'))
      throw new BirthmarkError(
        'certificate-refused',
        'the certificate is not one of a device of this authority',
      );
    if (takenBack) {
      onTakenBack?.(record);
      throw takenBackError(takenBack === 'held');
    }
    if (!issuing.stands(record.authority))
      throw new BirthmarkError(
        'certificate-revoked',
        `the certificate of authority ${record.authority}, which issued the client's, was revoked or is held: nothing under it counts; ` +
          'come with another certificate (IDevID), or a ticket',
      );
    if (keyBlocked) throw blockedKey();
    return {
      voucher: kind,
      device,
      certificate,
      keyHash: record.keyHash,
      fingerprint: fingerprintOf(peer.leaf),
      vouchedBy: `certificate:${toHex(record.serial)}`,
      record,
      detail: late ? `${verdict.detail}; within the grace for renewal` : verdict.detail,
    };

    /** Whether it was good up to its end, a grace ago at most: that another one of the path has ended is not forgiven. */
    function heldUntil(end: number): boolean {
      return (
        at > end &&
        at <= end + graceMs &&
        judge(peer, ownTrust(), end, 'all', signedUnder(shown)).reason === 'ok'
      );
    }
  }

  async function byManufacturer(
    peer: PeerCertificate,
    { at }: IdentifyOptions,
    byOurs: Verdict,
  ): Promise<DeviceIdentity> {
    const { trust, cas } = await foreignTrust();
    if (cas.length === 0) throw refused(byOurs);
    let verdict = judge(peer, trust, at, 'all');
    if (verdict.reason === 'expired') {
      const validity = anchorOf(verdict, cas)?.validity ?? 'all';
      if (validity !== 'all') verdict = judge(peer, trust, at, validity);
    }
    const ca = anchorOf(verdict, cas);
    if (verdict.reason !== 'ok' || !ca) throw refused(verdict);
    const certificate = parseCertificate(peer.leaf);
    refuseAuthority(certificate.tbs);
    const serialNumber = readDeviceSerialNumber(certificate.tbs.subject);
    if (ca.serialPattern !== undefined && !matchesPattern(ca.serialPattern, serialNumber)) {
      throw new BirthmarkError(
        'serial-number-not-allowed',
        `the manufacturer ${ca.namespace} is trusted for serial numbers like ${ca.serialPattern}, and this is ${serialNumber}`,
      );
    }
    const keyHash = hashKey(certificate.tbs.spki);
    await refuseBlocked(keyHash);
    const fingerprint = fingerprintOf(peer.leaf);
    return {
      voucher: 'manufacturer',
      device: { namespace: ca.namespace, serialNumber },
      certificate,
      keyHash,
      fingerprint,
      vouchedBy: `manufacturer:${ca.namespace}:${fingerprint}`,
      detail: verdict.detail,
    };
  }

  async function foreignTrust(): Promise<ForeignTrust> {
    const version = await ledger.read.trustVersion();
    if (foreign?.version !== version) {
      const cas = await ledger.read.listTrustedCas();
      foreign = { version, cas, trust: openTrust({ anchors: cas.map(({ certificate }) => certificate) }) };
    }
    return foreign;
  }

  async function refuseBlocked(keyHash: Uint8Array): Promise<void> {
    const [key] = await ledger.read.findKeys([keyHash]);
    if (key?.blocked !== undefined) throw blockedKey();
  }
}

function blockedKey(): BirthmarkError {
  return new BirthmarkError('key-blocked', "the key of the client's certificate is on the block list");
}

function judge(
  { leaf, chain }: PeerCertificate,
  trust: Trust,
  at: number,
  validity: 'all' | 'leaf' | 'none',
  signedUnder?: Uint8Array,
): Verdict {
  return validatePath(leaf, {
    trust,
    untrusted: chain,
    at,
    purpose: 'clientAuth',
    validity,
    possessionProven: true,
    ...(signedUnder && { signedUnder }),
  });
}

function refused(verdict: Verdict): BirthmarkError {
  return new BirthmarkError(
    'certificate-refused',
    `the client's certificate is refused (${verdict.reason}): ${verdict.detail}`,
  );
}

function anchorOf({ path }: Verdict, cas: readonly TrustedCa[]): TrustedCa | undefined {
  const anchor = path?.at(-1);
  return anchor && cas.find(({ certificate }) => equalBytes(certificate, anchor));
}

/** The certificate of a CA says nothing of a device, although its path holds. */
function refuseAuthority(tbs: TbsCertificate): void {
  const constraints = findExtension(tbs, EXTENSION.basicConstraints);
  if (!constraints || new DerReader(constraints.value).sequence('basicConstraints').atEnd) return;
  throw new BirthmarkError('certificate-refused', "the client's certificate is a CA's and no device's");
}

/**
 * The serialNumber attribute of the subject, of which there must be one (IEEE 802.1AR-2018 §8.6, RFC 8995 §2.3.1).
 *
 * @throws BirthmarkError `certificate-refused`, `serial-number-invalid`
 */
function readDeviceSerialNumber(subject: Uint8Array): string {
  const [first, ...more] = parseName(subject)
    .flat()
    .filter(({ oid }) => oid === ATTRIBUTE_OIDS.serialNumber);
  if (first && more.length === 0)
    return parseSerialNumber(first.value, "the serialNumber of the client's certificate");
  throw new BirthmarkError(
    'certificate-refused',
    `the subject of the client's certificate has ${first ? 'more than one serialNumber' : 'no serialNumber'}, so it names no device`,
  );
}

function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'hex');
}
