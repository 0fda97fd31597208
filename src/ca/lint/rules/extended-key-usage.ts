import { ALL_KINDS, DEVICES, type LintRule } from '../rule.ts';
import { IOT_PROFILE, ieee8021ar, rfc5280 } from '../sources.ts';
import type { OidList } from '../view/extension-values.ts';
import { OID } from '../view/oids.ts';
import { firstDuplicate } from './first-duplicate.ts';

/** Purposes that act in an authority's name (RFC 6960 §4.2.2.2, RFC 6402 §2.10, RFC 9810). */
const PRIVILEGED = new Map<string, string>([
  [OID.ocspSigning, 'OCSPSigning'],
  [OID.cmcCa, 'cmcCA'],
  [OID.cmcRa, 'cmcRA'],
  [OID.cmcArchive, 'cmcArchive'],
  [OID.cmKga, 'cmKGA'],
]);

function lacks(extendedKeyUsage: OidList | undefined, purpose: string): boolean {
  return extendedKeyUsage?.oids.includes(purpose) !== true;
}

export const extendedKeyUsageRules: readonly LintRule[] = [
  {
    id: 'extended-key-usage.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.12'),
    what: 'extKeyUsage is a SEQUENCE OF OBJECT IDENTIFIER.',
    check: ({ extendedKeyUsage }) =>
      extendedKeyUsage?.wellFormed === false ? 'extKeyUsage is not of that syntax' : undefined,
  },
  {
    id: 'extended-key-usage.empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.12'),
    what: 'extKeyUsage names at least one purpose.',
    check: ({ extendedKeyUsage }) =>
      extendedKeyUsage?.wellFormed === true && extendedKeyUsage.oids.length === 0
        ? 'extKeyUsage is empty'
        : undefined,
  },
  {
    id: 'extended-key-usage.duplicate',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.12'),
    what: 'extKeyUsage names no purpose twice.',
    check: ({ extendedKeyUsage }) => {
      const twice = extendedKeyUsage === undefined ? undefined : firstDuplicate(extendedKeyUsage.oids);
      return twice === undefined ? undefined : `extKeyUsage names ${twice} twice`;
    },
  },
  {
    id: 'extended-key-usage.any-critical',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.12'),
    what: 'extKeyUsage is not critical where it allows any purpose.',
    check: ({ extendedKeyUsage }) =>
      extendedKeyUsage?.critical === true && !lacks(extendedKeyUsage, OID.any)
        ? 'extKeyUsage is critical and allows any purpose'
        : undefined,
  },
  {
    id: 'idevid.extended-key-usage.present',
    severity: 'warning',
    kinds: ['idevid'],
    source: `${ieee8021ar()}; RFC 8995 §2.3; ${IOT_PROFILE}`,
    what: 'An IDevID has no extKeyUsage: what it will be used for is not known at its birth.',
    check: ({ extendedKeyUsage }) =>
      extendedKeyUsage === undefined
        ? undefined
        : `extKeyUsage limits the IDevID to ${extendedKeyUsage.oids.join(', ')}`,
  },
  {
    id: 'ldevid.extended-key-usage.tls',
    severity: 'warning',
    kinds: ['ldevid'],
    source: IOT_PROFILE,
    what: "An LDevID's extKeyUsage has clientAuth or serverAuth, without which TLS does not take it.",
    check: ({ extendedKeyUsage }) =>
      lacks(extendedKeyUsage, OID.clientAuth) && lacks(extendedKeyUsage, OID.serverAuth)
        ? 'extKeyUsage has neither clientAuth nor serverAuth'
        : undefined,
  },
  {
    id: 'device.extended-key-usage.privileged',
    severity: 'error',
    kinds: [...DEVICES, 'operator'],
    source: 'RFC 6960 §4.2.2.2; RFC 6402 §2.10',
    what: 'A device or an operator gets no purpose that acts for an authority: OCSPSigning, cmcCA, cmcRA, cmcArchive, cmKGA.',
    check: ({ extendedKeyUsage }) => {
      const found = extendedKeyUsage?.oids.find((purpose) => PRIVILEGED.has(purpose));
      return found === undefined ? undefined : `extKeyUsage has ${PRIVILEGED.get(found)}`;
    },
  },
  {
    id: 'device.extended-key-usage.any',
    severity: 'error',
    kinds: [...DEVICES, 'operator'],
    source: rfc5280('4.2.1.12'),
    what: 'A device or an operator does not get anyExtendedKeyUsage, which includes the privileged ones.',
    check: ({ extendedKeyUsage }) =>
      extendedKeyUsage?.oids.includes(OID.any) === true ? 'extKeyUsage allows any purpose' : undefined,
  },
  {
    id: 'server.extended-key-usage.server-auth',
    severity: 'error',
    kinds: ['server'],
    source: rfc5280('4.2.1.12'),
    what: "A server's extKeyUsage has serverAuth.",
    check: ({ extendedKeyUsage }) =>
      lacks(extendedKeyUsage, OID.serverAuth) ? 'extKeyUsage lacks serverAuth' : undefined,
  },
  {
    id: 'operator.extended-key-usage.client-auth',
    severity: 'error',
    kinds: ['operator'],
    source: rfc5280('4.2.1.12'),
    what: "An operator's extKeyUsage has clientAuth.",
    check: ({ extendedKeyUsage }) =>
      lacks(extendedKeyUsage, OID.clientAuth) ? 'extKeyUsage lacks clientAuth' : undefined,
  },
  {
    id: 'ocsp-responder.extended-key-usage.ocsp-signing',
    severity: 'error',
    kinds: ['ocsp-responder'],
    source: 'RFC 6960 §4.2.2.2',
    what: "An OCSP responder's extKeyUsage has OCSPSigning; anyExtendedKeyUsage does not count.",
    check: ({ extendedKeyUsage }) =>
      lacks(extendedKeyUsage, OID.ocspSigning) ? 'extKeyUsage lacks OCSPSigning' : undefined,
  },
];
