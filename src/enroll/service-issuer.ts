import { chainBelowRoot } from '../ca/authority.ts';
import { type Decision, type IssuedCertificate, signAndCommit, toReservation } from '../ca/issue.ts';
import type { IssuingRoom } from '../ca/issuing-room.ts';
import type { Holder } from '../ca/prepare.ts';
import { isDeviceKind, type Profile } from '../ca/profile.ts';
import type { Actor } from '../core/audit.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import { endsInNumber, isDnsName } from '../core/identifiers.ts';
import type { AltName } from '../x509/extensions.ts';
import { ipAddressOctets } from '../x509/ip-address.ts';
import { keyIdentifier } from '../x509/public-key.ts';
import { acceptKey, type KeyLimits, proveCsr, type ReadCsr, readCsr } from './examine.ts';
import { notGranted } from './not-granted.ts';
import type { Ledger, LedgerTx, Role } from './ports.ts';

/** A certificate for something of ours that is no device. */
export interface ServiceRequest {
  readonly profile: Profile;
  /** PKCS#10, DER. */
  readonly csr: Uint8Array;
  /** Who holds it, for people: `broker.example`, `anna`. */
  readonly name: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  /** For operators: what the certificate may sign in as. */
  readonly role?: Role;
}

export interface ServiceIssuerOptions {
  readonly ledger: Ledger;
  readonly issuing: IssuingRoom;
  readonly keyLimits: KeyLimits;
  readonly clock: Clock;
}

export interface ServiceCertificate {
  readonly serial: Uint8Array;
  readonly certificate: Buffer;
  readonly chain: readonly Uint8Array[];
  readonly notGranted: readonly string[];
}

export type ServiceIssuer = (request: ServiceRequest, actor: Actor) => Promise<ServiceCertificate>;

/**
 * Issues server and operator certificates. An operator's is registered to sign in within the same transaction: no chain
 * alone opens a door.
 *
 * @returns an issuer that throws BirthmarkError `profile-not-allowed`, `name-invalid`, `key-in-use`, `key-blocked`, or as `readCsr`, `proveCsr` and `acceptKey`
 */
export function createServiceIssuer({
  ledger,
  issuing,
  keyLimits,
  clock,
}: ServiceIssuerOptions): ServiceIssuer {
  return async (request, actor) => {
    const { profile } = request;
    if (isDeviceKind(profile.kind))
      throw new BirthmarkError('profile-not-allowed', `profile ${profile.name} is for devices`, {
        field: 'profile',
      });
    const { prepare, authority } = issuing.preparer(profile.name);
    const read = readCsr(request.csr, keyLimits);
    proveCsr(read.csr, profile, keyLimits);
    const keyHash = acceptKey(read.csr, profile, keyLimits, authority.signer.spki);
    const now = clock();
    const prepared = prepare(serviceHolder(request, read), now);
    const decision = await ledger.write(async (tx): Promise<Decision> => {
      const holder = `${profile.kind}:${request.name}`;
      const act = { at: now, actor, action: 'certificate.issue', subject: holder };
      const refused = await claimServiceKey(tx, keyHash, holder, now);
      if (refused) {
        const facts = { profile: profile.name };
        await tx.appendAudit([{ ...act, outcome: `refused:${refused.code}`, facts }]);
        return { kind: 'refused', error: refused };
      }
      const row = toReservation(
        prepared,
        { deviceId: null, keyHash, vouchedBy: actor, holder: request.name },
        now,
      );
      const [id = 0] = await tx.reserve([row]);
      if (profile.kind === 'operator') {
        await tx.registerOperator({
          serial: prepared.serial,
          name: request.name,
          role: request.role ?? 'auditor',
          registeredAt: now,
        });
      }
      const facts = {
        profile: profile.name,
        serial: toHex(prepared.serial),
        ...(request.role && { role: request.role }),
      };
      await tx.appendAudit([{ ...act, outcome: 'done', facts }]);
      return { kind: 'reserved', id, prepared };
    });
    const [outcome] = await signAndCommit(ledger, issuing.authorities, [decision]);
    if (outcome === undefined || outcome instanceof BirthmarkError)
      throw outcome ?? new BirthmarkError('internal', 'a service certificate was left without an outcome');
    return toAnswer(outcome, read);
  };
}

function toAnswer(issued: IssuedCertificate, read: ReadCsr): ServiceCertificate {
  const { serial, certificate, authority } = issued;
  return { serial, certificate, chain: chainBelowRoot(authority), notGranted: notGranted(read, certificate) };
}

/** Takes the key for its holder, or says why not; a key that is somebody else's is an incident, as it is with devices. */
async function claimServiceKey(
  tx: LedgerTx,
  keyHash: Uint8Array,
  holder: string,
  now: number,
): Promise<BirthmarkError | undefined> {
  const [key] = await tx.findKeys([keyHash]);
  if (key?.blocked !== undefined)
    return new BirthmarkError('key-blocked', 'this key is on the block list; make a new key', {
      field: 'csr',
    });
  if (key && key.holder !== holder) {
    const facts = { keyHash: toHex(keyHash), ownerDeviceId: key.deviceId ?? 0, owner: key.holder ?? '' };
    await tx.appendIncidents([{ at: now, kind: 'key-in-use', subject: holder, facts }]);
    return new BirthmarkError('key-in-use', 'this key belongs to another device or service; make a new key', {
      field: 'csr',
    });
  }
  if (!key) await tx.claimKeys([{ keyHash, holder }]);
  return undefined;
}

function serviceHolder(request: ServiceRequest, { csr }: ReadCsr): Holder {
  const altNames: AltName[] = [];
  for (const name of request.dns) {
    if (endsInNumber(name)) {
      throw new BirthmarkError(
        'name-invalid',
        `${JSON.stringify(name).slice(0, 80)} is an address and no name; give it as ip`,
        { field: 'dns' },
      );
    }
    if (!isDnsName(name)) {
      throw new BirthmarkError(
        'name-invalid',
        `${JSON.stringify(name).slice(0, 80)} is no DNS name (RFC 1123 §2.1; a wildcard is a whole first label)`,
        { field: 'dns' },
      );
    }
    altNames.push({ kind: 'dns', name: name.toLowerCase() });
  }
  for (const text of request.ip) {
    const address = ipAddressOctets(text);
    if (!address)
      throw new BirthmarkError('name-invalid', `${JSON.stringify(text).slice(0, 80)} is no IP address`, {
        field: 'ip',
      });
    altNames.push({ kind: 'ip', address });
  }
  if (request.profile.kind === 'server' && altNames.length === 0) {
    throw new BirthmarkError(
      'name-invalid',
      'a server certificate needs at least one DNS name or IP address (RFC 9525 §2)',
      { field: 'dns' },
    );
  }
  return {
    commonName: request.name,
    altNames,
    spki: csr.spki,
    ...(request.profile.subjectKeyIdentifier ? { keyId: keyIdentifier(csr.spki) } : {}),
  };
}
