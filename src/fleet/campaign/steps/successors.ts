import type { CertificateRecord } from '../../../ca/ports.ts';
import { keyAlgorithmOf } from '../key-algorithm-of.ts';
import type { CampaignPlan } from '../plan.ts';
import { type CampaignRoom, ldevidProfiles } from '../room.ts';

/** Whether a certificate counts as what a campaign wants in the place of an old one: an LDevID, of the wanted algorithm and issuer. */
export function successorRule(
  { wanted, preset, selection }: CampaignPlan,
  room: CampaignRoom,
): (certificate: CertificateRecord) => boolean {
  const profiles = new Set(ldevidProfiles(room));
  const algorithms = wanted.keyAlgorithms && new Set<string>(wanted.keyAlgorithms);
  const { issuer } = wanted;
  const retiring = preset === 'rotate-ca' ? selection.issuer : undefined;
  return (certificate) =>
    certificate.signature !== undefined &&
    profiles.has(certificate.profile) &&
    (issuer === undefined || certificate.authority === issuer) &&
    certificate.authority !== retiring &&
    (!algorithms || algorithms.has(keyAlgorithmOf(certificate) ?? ''));
}
