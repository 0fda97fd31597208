import { BirthmarkError } from '../core/errors.ts';
import { isLabel, isOid } from '../core/identifiers.ts';
import { EXTENDED_KEY_USAGE } from '../x509/extensions.ts';
import type { Profile } from './profile.ts';
import type { ProfileConfig } from './profile-config.ts';

/** tcg-cap-verifiedTPMResidency, -Fixed, -Restricted: what they state, only an attestation can back. */
const TCG_POLICIES = '2.23.133.11.1.';

interface Rule {
  readonly member: keyof ProfileConfig;
  readonly broken: (config: ProfileConfig) => boolean;
  readonly rule: string;
}

const isDevice = (config: ProfileConfig) => config.kind === 'idevid' || config.kind === 'ldevid';
const lacks = (config: ProfileConfig, purpose: 'clientAuth' | 'serverAuth') =>
  !config.extendedKeyUsage.includes(purpose);

const RULES: readonly Rule[] = [
  {
    member: 'extendedKeyUsage',
    broken: (config) => config.kind === 'idevid' && config.extendedKeyUsage.length > 0,
    rule: 'must be empty in an IDevID, which is not for one purpose only (IEEE 802.1AR-2018, RFC 8995 §2.3)',
  },
  {
    member: 'extendedKeyUsage',
    broken: (config) => config.kind === 'ldevid' && config.extendedKeyUsage.length === 0,
    rule: 'must hold clientAuth or serverAuth in an LDevID, which is for TLS (draft-ietf-uta-tls13-iot-profile)',
  },
  {
    member: 'extendedKeyUsage',
    broken: (config) => config.kind === 'server' && lacks(config, 'serverAuth'),
    rule: 'must hold serverAuth in a server certificate (RFC 5280 §4.2.1.12)',
  },
  {
    member: 'extendedKeyUsage',
    broken: (config) => config.kind === 'operator' && lacks(config, 'clientAuth'),
    rule: 'must hold clientAuth in an operator certificate (RFC 5280 §4.2.1.12)',
  },
  {
    member: 'keyUsage',
    broken: (config) => !config.keyUsage.includes('digitalSignature'),
    rule: 'must hold digitalSignature (IEEE 802.1AR-2018 §8.10.3)',
  },
  {
    member: 'keyUsage',
    broken: ({ keyUsage, allowedKeys }) =>
      (keyUsage.includes('keyEncipherment') || keyUsage.includes('dataEncipherment')) &&
      allowedKeys.some((key) => key !== 'rsa'),
    rule: 'may hold keyEncipherment and dataEncipherment only where allowedKeys is ["rsa"]: other keys encipher nothing (RFC 8813 §3)',
  },
  {
    member: 'keyUsage',
    broken: ({ keyUsage, allowedKeys }) =>
      keyUsage.includes('keyAgreement') && allowedKeys.some((key) => !key.startsWith('ec-')),
    rule: 'may hold keyAgreement only where allowedKeys are on EC curves: other keys agree on nothing (RFC 3279 §2.3, RFC 8410 §5)',
  },
  {
    member: 'validityDays',
    broken: (config) => config.kind !== 'idevid' && config.validityDays === 'forever',
    rule: 'must be a number of days: only an IDevID has no end (IEEE 802.1AR-2018)',
  },
  {
    member: 'policies',
    broken: (config) => config.policies.some((policy) => policy.startsWith(TCG_POLICIES)),
    rule:
      `must hold nothing under ${TCG_POLICIES.slice(0, -1)}: those policies state that a TPM holds the key, and no attestation ` +
      'backs that here (TCG TPM 2.0 Keys for Device Identity and Attestation)',
  },
  {
    member: 'policies',
    broken: (config) => !config.policies.every(isOid),
    rule: 'must hold object identifiers in dotted form',
  },
  {
    member: 'hwType',
    broken: (config) => config.hwType !== undefined && !isOid(config.hwType),
    rule: 'must be an object identifier in dotted form (RFC 4108 §5)',
  },
  {
    member: 'hardwareModuleName',
    broken: (config) => config.hardwareModuleName && !isDevice(config),
    rule: 'must be false: only devices have hardware',
  },
  {
    member: 'commonName',
    broken: (config) => config.commonName === 'model' && !isDevice(config),
    rule: 'may be "model" for devices only',
  },
];

/**
 * Makes a profile of what the configuration says.
 *
 * @param authorities the names of the issuing authorities
 * @throws BirthmarkError `config-invalid` that names the member and the rule
 */
export function parseProfile(name: string, config: ProfileConfig, authorities: readonly string[]): Profile {
  const refuse = (member: string, rule: string) =>
    new BirthmarkError('config-invalid', `profiles.${name}.${member} ${rule}`, {
      field: `profiles.${name}.${member}`,
    });
  if (!isLabel(name)) throw refuse('', 'needs a name of lower-case letters, digits and hyphens');
  for (const { member, broken, rule } of RULES) if (broken(config)) throw refuse(member, rule);
  if (!authorities.includes(config.authority))
    throw refuse('authority', `must be one of ${authorities.join(', ')}`);
  const { organizationalUnit, hwType, ...rest } = config;
  return {
    ...rest,
    name,
    ...(organizationalUnit === undefined ? {} : { organizationalUnit }),
    ...(hwType === undefined ? {} : { hwType }),
    extendedKeyUsage: config.extendedKeyUsage.map((purpose) => EXTENDED_KEY_USAGE[purpose]),
  };
}
