import type { CertificateRecord } from '../ca/ports.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { UseNoter } from '../fleet/rotation/note-use.ts';
import { findExtension } from '../x509/certificate.ts';
import { compareIdentity, type IdentityDifference } from '../x509/compare-identity.ts';
import { type CertificateRequest, parseCsr } from '../x509/csr.ts';
import { readEstAttributes } from '../x509/est-attributes.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { parseName } from '../x509/name.ts';
import { hashKey } from '../x509/public-key.ts';
import { type Admission, ticketAdmission } from './admission.ts';
import { certificateAdmission, withApproval } from './certificate-admission.ts';
import { compareBinding } from './compare-binding.ts';
import type { EnrollmentRequest } from './enroller.ts';
import { refuseOtherDevice } from './examine.ts';
import type { DeviceIdentity, Identify } from './identify.ts';
import type { Label } from './label.ts';
import type { Peer } from './peer.ts';
import type { TicketRecord } from './ports.ts';
import { matchesPattern } from './serial-pattern.ts';

/** What a device asks for at a door that knows labels. */
export interface Application {
  readonly label: Label;
  readonly operation: 'enroll' | 'reenroll' | 'serverkeygen';
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  /** Another CSR, whose key is certified in the place of that one's: the server made it. */
  readonly madeCsr?: Uint8Array;
  readonly peer: Peer;
  /** One that was presented and found good; it vouches, whatever certificate came with it. */
  readonly ticket?: TicketRecord;
  /** Names the door in the audit record. */
  readonly door: string;
  /** Whether a challengePassword binds the CSR to the connection, as it does in EST. */
  readonly bound: boolean;
}

/** A rule that was looked at, and what was found, for people. */
export interface AdmissionStep {
  readonly rule:
    | 'voucher'
    | 'admit'
    | 'namespaces'
    | 'serialPattern'
    | 'csr'
    | 'identity'
    | 'binding'
    | 'approval';
  readonly detail: string;
}

export interface Admitted {
  readonly request: EnrollmentRequest;
  readonly admission: Admission;
}

export interface AdmitOptions {
  readonly identify: Identify;
  readonly clock: () => number;
  readonly uses: UseNoter;
  /** Told each rule that held, in order: the first that does not is the error. */
  readonly onStep?: (step: AdmissionStep) => void;
  /** Told of a certificate of ours that was proven and is revoked or held. */
  readonly onTakenBack?: (record: CertificateRecord) => void;
  /** Told who is asking, as soon as that is known. */
  readonly onVoucher?: (admission: Admission, request: Omit<EnrollmentRequest, 'csr'>) => void;
}

/**
 * Decides whether a device may enroll under a label, and as what. What only the ledger can say (the key's owner, an approval)
 * comes after this, in the unit of work that reserves.
 *
 * @throws BirthmarkError `certificate-required`, `certificate-refused`, `admission-refused`, `profile-not-allowed`,
 *   `serial-number-not-allowed`, `identity-differs`, `channel-binding`, `key-in-use`, `bad-csr`, `bad-der`, `key-…`
 */
export async function admitDevice(application: Application, options: AdmitOptions): Promise<Admitted> {
  const { label, peer, ticket, door } = application;
  const { clock, uses, onStep = () => undefined, onVoucher } = options;
  const identity = ticket ? undefined : await identifyPeer(application, options);
  const { namespace, serialNumber } = identity?.device ?? ticket ?? unreachable();
  const device = { namespace, serialNumber };
  const facts = {
    door,
    operation: application.operation,
    label: label.name,
    ...(peer.certificate && { via: peer.certificate.via }),
    ...(identity && { certificate: identity.fingerprint }),
  };
  const bare = identity
    ? certificateAdmission(identity, { uses, clock, place: `door:${door}` })
    : ticketAdmission(ticket ?? unreachable(), clock);
  onVoucher?.(bare, { device, profile: label.profile, facts });
  onStep({ rule: 'voucher', detail: identity?.detail ?? `a ticket for ${serialNumber}` });
  const voucher = identity?.voucher ?? 'ticket';
  assertAdmits(label, voucher);
  if (ticket && ticket.profile !== label.profile.name)
    throw new BirthmarkError('profile-not-allowed', `this ticket is for profile ${ticket.profile}`);
  onStep({ rule: 'admit', detail: `label ${label.name} admits ${voucher}` });
  assertNamespace(label, namespace);
  onStep({ rule: 'namespaces', detail: `namespace ${namespace}` });
  if (!matchesPattern(label.serialPattern, serialNumber)) {
    throw new BirthmarkError(
      'serial-number-not-allowed',
      `label ${label.name} is for serial numbers like ${label.serialPattern}, and this is ${serialNumber}`,
    );
  }
  onStep({ rule: 'serialPattern', detail: `${serialNumber} is like ${label.serialPattern}` });
  const csr = parseCsr(application.csr);
  const { spki } = application.madeCsr ? parseCsr(application.madeCsr) : csr;
  // Of a CSR whose key is not certified, all but the key and the signature counts (RFC 7030 §4.4.1).
  if (application.madeCsr) refuseOtherDevice(parseName(csr.subject).flat(), serialNumber);
  refuseVouchersKey(spki, label, identity);
  onStep({ rule: 'csr', detail: 'can be read, with a key of its own' });
  const renews = renewsWith(application, identity);
  if (renews) assertSameIdentity(csr, renews);
  onStep({ rule: 'identity', detail: renews ? 'asks for the names that it has' : 'a first certificate' });
  const binding = checkBinding(csr, application);
  onStep({ rule: 'binding', detail: binding === 'none' ? 'no channel binding' : `bound by ${binding}` });
  const approval = label.approval && !renews;
  onStep({ rule: 'approval', detail: approval ? 'an operator must approve it' : 'none is needed' });
  return {
    admission: approval ? withApproval(bare, { ...device, profile: label.profile.name }, clock) : bare,
    request: {
      device,
      profile: label.profile,
      csr: application.madeCsr ?? application.csr,
      ...(renews?.record && { renewed: namesOf(renews) }),
      facts: { ...facts, binding, keyHash: toHex(hashKey(spki)) },
    },
  };
}

function identifyPeer(
  { peer, label, operation }: Application,
  { identify, clock, onTakenBack }: AdmitOptions,
): Promise<DeviceIdentity> {
  if (!peer.certificate) {
    throw new BirthmarkError(
      'certificate-required',
      label.admits.has('ticket') && operation !== 'reenroll'
        ? 'come with a client certificate or a ticket'
        : 'come with a client certificate',
    );
  }
  const graceMs = operation === 'reenroll' ? label.renewalGraceMs : 0;
  return identify(peer.certificate, { at: clock(), graceMs, onTakenBack });
}

function assertAdmits(label: Label, voucher: DeviceIdentity['voucher'] | 'ticket'): void {
  if (label.admits.has(voucher)) return;
  const what = {
    ticket: 'a ticket',
    idevid: 'an IDevID of this authority',
    ldevid: 'an LDevID',
    manufacturer: "a manufacturer's certificate",
  }[voucher];
  throw new BirthmarkError(
    'admission-refused',
    `${what} does not vouch for a device under label ${label.name}; it admits ${[...label.admits].join(', ')}`,
  );
}

function assertNamespace(label: Label, namespace: string): void {
  if (label.namespaces === undefined || label.namespaces.has(namespace)) return;
  throw new BirthmarkError(
    'admission-refused',
    `label ${label.name} is not for devices of namespace ${namespace}; it is for ${[...label.namespaces].join(', ')}`,
  );
}

/** The key of a manufacturer's certificate is not in the ledger, which otherwise tells. */
function refuseVouchersKey(spki: Uint8Array, { profile }: Label, identity: DeviceIdentity | undefined): void {
  if (!profile.newKey || !identity || identity.record) return;
  if (!equalBytes(spki, identity.certificate.tbs.spki)) return;
  throw new BirthmarkError(
    'key-in-use',
    `profile ${profile.name} wants a new key, and this is the one of the certificate that vouches for it`,
    { field: 'csr' },
  );
}

/**
 * The identity whose certificate is renewed (RFC 7030 §4.2.2); undefined where a first one is asked for.
 *
 * @throws BirthmarkError `admission-refused`
 */
function renewsWith(
  { operation, label }: Application,
  identity: DeviceIdentity | undefined,
): DeviceIdentity | undefined {
  if (operation !== 'reenroll') return undefined;
  if (identity?.record?.profile === label.profile.name) return identity;
  if (identity && identity.voucher !== 'ldevid' && label.idevidMayReenroll) return undefined;
  throw new BirthmarkError(
    'admission-refused',
    identity?.voucher === 'ldevid'
      ? `the certificate is of profile ${identity.record?.profile}, and label ${label.name} renews ${label.profile.name}`
      : 'only an LDevID is renewed; with an IDevID or a ticket use simpleenroll (RFC 7030 §2.2.1)',
  );
}

const DIFFERENCES: Readonly<Record<IdentityDifference, string>> = {
  'subject-differs': 'its subject is another one',
  'san-missing': 'its subjectAltName is missing',
  'san-differs': 'its subjectAltName is another one',
};

function assertSameIdentity(csr: CertificateRequest, { certificate }: DeviceIdentity): void {
  const differences = compareIdentity(csr, certificate.tbs);
  if (differences.length === 0) return;
  throw new BirthmarkError(
    'identity-differs',
    `a CSR that renews a certificate asks for the names of that certificate (RFC 7030 §4.2.2): ${differences
      .map((one) => DIFFERENCES[one])
      .join(', ')}`,
    { field: 'csr' },
  );
}

function namesOf({ certificate: { tbs } }: DeviceIdentity): NonNullable<EnrollmentRequest['renewed']> {
  const alternative = findExtension(tbs, EXTENSION.subjectAltName)?.value;
  return { serial: tbs.serial, subject: tbs.subject, ...(alternative && { subjectAltName: alternative }) };
}

/**
 * A CSR that says which connection it was made for must have come over that one (RFC 7030 §3.5).
 *
 * @returns what bound it
 */
function checkBinding(csr: CertificateRequest, { bound, label, peer }: Application): string {
  const claimed = bound ? readEstAttributes(csr).challengePassword : undefined;
  const refuse = (why: string) => new BirthmarkError('channel-binding', why, { field: 'csr' });
  if (claimed === undefined) {
    if (label.bindingRequired)
      throw refuse(`label ${label.name} wants the CSR bound to its TLS connection (RFC 7030 §3.5)`);
    return 'none';
  }
  if (!peer.binding)
    throw refuse(
      'the CSR is bound to a TLS connection, and this one has no binding: it ends at a proxy, or is TLS 1.2 without extended master secret',
    );
  if (compareBinding(claimed, peer.binding.octets) !== 'equal') {
    throw refuse(
      `the challengePassword is not the ${peer.binding.kind} of this TLS connection in base64: the CSR was made for another one`,
    );
  }
  return peer.binding.kind;
}

function unreachable(): never {
  throw new BirthmarkError('internal', 'nobody vouches for the device');
}
