import type { CredentialId } from '../../../src/broker-auth/credential.ts';
import { readCredential } from '../../../src/broker-auth/credential.ts';
import { parsePolicy } from '../../../src/broker-auth/parse-policy.ts';
import type { GatePolicy } from '../../../src/broker-auth/policy.ts';
import type { ListenerConfig, RoleConfig } from '../../../src/broker-auth/policy-config.ts';
import { encodeName } from '../../../src/x509/name.ts';
import { makeAuthority, makeCertificate, type Party, type Traits } from '../../x509/path/make-certificate.ts';

const HOUR = 3_600_000;

/** Programs of others look at their own clock. */
export const NOW = Date.now();
const DATES = { notBefore: NOW - HOUR, notAfter: NOW + 24 * HOUR };

/** A root, a CA under it, and a stranger of the same name as that CA. */
export interface Authorities {
  readonly root: Party;
  readonly issuing: Party;
  readonly other: Party;
}

export function makeAuthorities(): Authorities {
  const root = makeAuthority({ cn: 'Root', fields: DATES });
  const issuing = makeAuthority({ cn: 'Devices', issuer: root, pathLength: 0, fields: DATES });
  return { root, issuing, other: makeAuthority({ cn: 'Devices', fields: DATES }) };
}

/** A device's certificate with its id as serialNumber. */
export function makeDevice(id: string, issuer: Party, traits: Traits = {}): Party {
  const subject = encodeName([
    { type: 'O', value: 'Lab' },
    { type: 'serialNumber', value: id },
  ]);
  return makeCertificate({ ...traits, issuer, fields: { ...DATES, subject, ...traits.fields } });
}

/** How what is denied knows a certificate. */
export function idOf(party: Party, issuer: Party): CredentialId {
  return readCredential([party.der, issuer.der], 'own');
}

export const ROLE: RoleConfig = {
  name: 'device',
  publish: ['devices/${id}/#', 'shared/+/up'],
  subscribe: ['devices/${id}/#', 'news/+'],
  deny: ['devices/${id}/secret/#', 'shared/no/up'],
};

export function makePolicy(
  { root, issuing }: Authorities,
  {
    roles = [ROLE],
    ...listener
  }: Omit<ListenerConfig, 'roles'> & { readonly roles?: readonly RoleConfig[] } = {},
): GatePolicy {
  return parsePolicy({ listeners: { mqtt: listener }, roles: [...roles] }, [
    {
      namespace: 'own',
      guests: { ownUnits: ['ours'] },
      anchors: [root.der],
      intermediates: [issuing.der],
    },
  ]);
}
