import type { LintRule } from './rule.ts';
import { algorithmRules } from './rules/algorithm.ts';
import { basicConstraintsRules } from './rules/basic-constraints.ts';
import { commonNameRules } from './rules/common-name.ts';
import { derRules, STRUCTURE_RULE } from './rules/der.ts';
import { distributionRules } from './rules/distribution.ts';
import { extendedKeyUsageRules } from './rules/extended-key-usage.ts';
import { extensionsGeneralRules } from './rules/extensions-general.ts';
import { hardwareModuleNameRules } from './rules/hardware-module-name.ts';
import { identifierRules } from './rules/identifiers.ts';
import { issuerRules } from './rules/issuer.ts';
import { keyRules } from './rules/key.ts';
import { keyUsageRules } from './rules/key-usage.ts';
import { masaUrlRules } from './rules/masa-url.ts';
import { nameRules } from './rules/names.ts';
import { policyRules } from './rules/policies.ts';
import { serialRules } from './rules/serial.ts';
import { signatureRules } from './rules/signature.ts';
import { statusRules } from './rules/status.ts';
import { subjectAltNameRules } from './rules/subject-alt-name.ts';
import { validityRules } from './rules/validity.ts';
import { versionRules } from './rules/version.ts';

/** Every rule, in the order in which findings are told: the octets, then the certificate from its front to its end. */
export const LINT_RULES: readonly LintRule[] = [
  STRUCTURE_RULE,
  ...derRules,
  ...versionRules,
  ...serialRules,
  ...algorithmRules,
  ...nameRules,
  ...commonNameRules,
  ...validityRules,
  ...keyRules,
  ...extensionsGeneralRules,
  ...identifierRules,
  ...keyUsageRules,
  ...basicConstraintsRules,
  ...extendedKeyUsageRules,
  ...subjectAltNameRules,
  ...hardwareModuleNameRules,
  ...policyRules,
  ...distributionRules,
  ...statusRules,
  ...masaUrlRules,
  ...issuerRules,
  ...signatureRules,
];
