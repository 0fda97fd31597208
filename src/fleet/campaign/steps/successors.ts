import type { CertificateRecord } from '../../../ca/ports.ts';
import { keyAlgorithmOf } from '../key-algorithm-of.ts';
import type { CampaignPlan } from '../plan.ts';
import { type CampaignRoom, ldevidProfiles } from '../room.ts';

/** Whether a certificate counts as what a campaign wants in the place of an old one: an LDevID, of the wanted algorithm and issuer. */
export function successorRule(
  { wanted }: CampaignPlan,
  room: CampaignRoom,
): (certificate: CertificateRecord) => boolean {
  const profiles = new Set(ldevidProfiles(room));
  const algorithms = wanted.keyAlgorithms && new Set<string>(wanted.keyAlgorithms);
  return (certificate) =>
    certificate.signature !== undefined &&
    profiles.has(certificate.profile) &&
    (wanted.issuer === undefined || certificate.authority === wanted.issuer) &&
    (!algorithms || algorithms.has(keyAlgorithmOf(certificate) ?? ''));
}
