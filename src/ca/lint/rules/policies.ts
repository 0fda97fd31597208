import { ALL_KINDS, DEVICES, type LintRule } from '../rule.ts';
import { rfc5280, TCG_DEVID } from '../sources.ts';
import { OID } from '../view/oids.ts';
import { firstDuplicate } from './first-duplicate.ts';

/** Policies that state what somebody has verified of a TPM's key. */
const ATTESTED = new Map<string, string>([
  [OID.verifiedTpmResidency, 'tcg-cap-verifiedTPMResidency'],
  [OID.verifiedTpmFixed, 'tcg-cap-verifiedTPMFixed'],
  [OID.verifiedTpmRestricted, 'tcg-cap-verifiedTPMRestricted'],
]);

export const policyRules: readonly LintRule[] = [
  {
    id: 'certificate-policies.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.4'),
    what: 'certificatePolicies is a SEQUENCE OF SEQUENCE { policyIdentifier, qualifiers }, not empty.',
    check: ({ certificatePolicies }) =>
      certificatePolicies !== undefined &&
      (!certificatePolicies.wellFormed || certificatePolicies.oids.length === 0)
        ? 'certificatePolicies is empty or not of that syntax'
        : undefined,
  },
  {
    id: 'certificate-policies.duplicate',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.4'),
    what: 'certificatePolicies names no policy twice.',
    check: ({ certificatePolicies }) => {
      const twice = certificatePolicies === undefined ? undefined : firstDuplicate(certificatePolicies.oids);
      return twice === undefined ? undefined : `certificatePolicies names ${twice} twice`;
    },
  },
  {
    id: 'device.certificate-policies.critical',
    severity: 'warning',
    kinds: DEVICES,
    source: TCG_DEVID,
    what: 'certificatePolicies of a device is not critical.',
    check: ({ certificatePolicies }) =>
      certificatePolicies?.critical ? 'certificatePolicies is critical' : undefined,
  },
  {
    id: 'certificate-policies.qualifiers',
    severity: 'notice',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.4'),
    what: 'A policy is an object identifier without qualifiers.',
    check: ({ certificatePolicies }) =>
      certificatePolicies?.hasQualifiers ? 'a policy has qualifiers' : undefined,
  },
  {
    id: 'certificate-policies.not-attested',
    severity: 'error',
    kinds: ALL_KINDS,
    source: TCG_DEVID,
    what: "The policies 2.23.133.11.1.1 to .3 stand there only where an attestation of the device's TPM backs them.",
    check: ({ certificatePolicies, attestedPolicies }) => {
      const claimed = certificatePolicies?.oids.find(
        (policy) => ATTESTED.has(policy) && !attestedPolicies.includes(policy),
      );
      return claimed === undefined
        ? undefined
        : `${ATTESTED.get(claimed)} (${claimed}) is claimed and no attestation is known that backs it`;
    },
  },
  {
    id: 'device.certificate-policies.tpm-incomplete',
    severity: 'notice',
    kinds: DEVICES,
    source: TCG_DEVID,
    what: 'verifiedTPMResidency comes with verifiedTPMFixed or verifiedTPMRestricted, and neither of them without it.',
    check: ({ certificatePolicies }) => {
      const policies = certificatePolicies?.oids;
      if (policies === undefined) return undefined;
      const resident = policies.includes(OID.verifiedTpmResidency);
      const bound = policies.includes(OID.verifiedTpmFixed) || policies.includes(OID.verifiedTpmRestricted);
      return resident === bound
        ? undefined
        : `the TPM is said to be ${resident ? 'resident' : 'binding'} only`;
    },
  },
];
