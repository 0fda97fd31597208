import type { CertificateRecord } from '../../ca/ports.ts';
import type { RevocationRecord } from '../../ca/revocation/ports.ts';
import type { FleetReads, RenewalCall } from '../ports.ts';
import type { RotationPolicy } from '../rotation/settings.ts';
import { type RenewalWindow, windowAt, windowOf } from './window.ts';

/** When a certificate is to be renewed, and why then. */
export interface Renewal {
  readonly window: RenewalWindow;
  /** `schedule`, the cause of a call for it, or what is wrong. */
  readonly cause: string;
}

export interface RenewalRoom {
  readonly reads: Pick<FleetReads, 'findRenewalCalls' | 'findRevocations' | 'findKeys'>;
  readonly policy: Pick<RotationPolicy, 'window'>;
  readonly idevidProfiles: ReadonlySet<string>;
  /** Whether an authority's own certificate stands. */
  readonly mayIssue: (authority: string) => boolean;
}

/**
 * When these certificates are to be renewed, in order; undefined for those that never are: IDevIDs, and what is no device's.
 * Earlier than its own window where somebody calls for it, and at once where something is wrong.
 */
export async function readRenewals(
  { reads, policy, idevidProfiles, mayIssue }: RenewalRoom,
  certificates: readonly CertificateRecord[],
): Promise<readonly (Renewal | undefined)[]> {
  const ids = certificates.map(({ id }) => id);
  const revocations = await reads.findRevocations(ids);
  const keys = await reads.findKeys(certificates.map(({ keyHash }) => keyHash));
  const calls = Map.groupBy(await reads.findRenewalCalls(ids), ({ certificateId }) => certificateId);
  return certificates.map((certificate, at) => {
    const { deviceId, profile, authority, notBefore, id } = certificate;
    if (deviceId === null || idevidProfiles.has(profile)) return undefined;
    const wrong = faultOf(revocations[at], keys[at]?.blocked !== undefined, mayIssue(authority), notBefore);
    if (wrong) return wrong;
    const window = windowOf(certificate, policy.window);
    return earliest(window, calls.get(id)?.[0]);
  });
}

function faultOf(
  revocation: RevocationRecord | undefined,
  isBlocked: boolean,
  issuerStands: boolean,
  notBefore: number,
): Renewal | undefined {
  if (revocation)
    return { window: windowAt(revocation.revokedAt), cause: revocation.held ? 'held' : 'revoked' };
  if (isBlocked) return { window: windowAt(notBefore), cause: 'key-blocked' };
  return issuerStands ? undefined : { window: windowAt(notBefore), cause: 'issuer-revoked' };
}

function earliest(window: RenewalWindow, call: RenewalCall | undefined): Renewal {
  if (!call || call.at >= window.start) return { window, cause: 'schedule' };
  return { window: windowAt(call.at), cause: call.cause };
}
