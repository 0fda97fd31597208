import { findExtension } from '../x509/certificate.ts';
import { DerReader } from '../x509/der/reader.ts';
import { EXTENSION } from '../x509/extensions.ts';
import { readPolicies } from '../x509/path/read-policies.ts';
import type { KnownClient } from './known-client.ts';
import type { GatePolicy, Role } from './policy.ts';

/** Whether the client may have the role. */
export function fitsRole(
  { when }: Role,
  { credential, values }: KnownClient,
  { trust }: GatePolicy,
): boolean {
  const { namespaces, issuers, policies } = when;
  const namespace = values.get('namespace') ?? '';
  // Guests have a role only where it names them.
  if (!(namespaces ?? trust.map((one) => one.namespace)).includes(namespace)) return false;
  if (issuers && !issuers.includes(values.get('issuer.commonName') ?? '')) return false;
  if (!policies) return true;
  const extension = credential && findExtension(credential.tbs, EXTENSION.certificatePolicies);
  if (!extension) return false;
  const held = readPolicies(new DerReader(extension.value), 'certificatePolicies').policies;
  return policies.some((one) => held.includes(one));
}
