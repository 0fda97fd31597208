import { ALL_KINDS, DEVICES, type LintRule } from '../rule.ts';
import { IOT_PROFILE, ieee8021ar, rfc5280 } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { type GeneralNameView, generalNameText, isIa5, isText, urlFault } from '../view/general-name.ts';
import { isEmptyName } from '../view/name.ts';
import { OID } from '../view/oids.ts';
import { lengthOf, sameEncoding } from '../view/tlv.ts';

/** The first name of the kind that the judge has something to say of. */
function inNames(
  kind: GeneralNameView['kind'],
  judge: (name: GeneralNameView) => string | undefined,
): LintRule['check'] {
  return ({ subjectAltName }) => {
    if (subjectAltName === undefined) return undefined;
    for (const name of subjectAltName.names) {
      const detail = name.kind === kind ? judge(name) : undefined;
      if (detail !== undefined) return detail;
    }
    return undefined;
  };
}

/** Letters, digits and hyphens in labels of 1 to 63 characters (RFC 1034 §3.5, RFC 1123 §2.1); `*` may be the first label. */
const DNS_NAME =
  /^(?=.{1,253}$)(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const MAILBOX = /^[^\s@<>]+@[^\s@<>]+$/;

function has(certificate: CertificateView, kind: GeneralNameView['kind'], typeId?: string): boolean {
  return (
    certificate.subjectAltName?.names.some((name) => name.kind === kind && name.typeId === typeId) === true
  );
}

export const subjectAltNameRules: readonly LintRule[] = [
  {
    id: 'subject-alt-name.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'subjectAltName is a SEQUENCE OF GeneralName.',
    check: ({ subjectAltName }) =>
      subjectAltName?.wellFormed === false ? 'subjectAltName is not of that syntax' : undefined,
  },
  {
    id: 'subject-alt-name.empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'subjectAltName holds at least one name.',
    check: ({ subjectAltName }) =>
      subjectAltName?.wellFormed === true && subjectAltName.names.length === 0
        ? 'subjectAltName is empty'
        : undefined,
  },
  {
    id: 'subject-alt-name.critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'subjectAltName is not critical where there is a subject.',
    check: ({ subject, subjectAltName }) =>
      subjectAltName?.critical === true && !isEmptyName(subject)
        ? 'subjectAltName is critical beside a subject'
        : undefined,
  },
  {
    id: 'subject-alt-name.not-critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'subjectAltName is critical where the subject is empty.',
    check: ({ subject, subjectAltName }) =>
      subjectAltName?.critical === false && isEmptyName(subject)
        ? 'subjectAltName is not critical and the subject is empty'
        : undefined,
  },
  {
    id: 'subject-alt-name.duplicate',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'subjectAltName holds no name twice.',
    check: ({ subjectAltName }) => {
      const names = subjectAltName?.names ?? [];
      const twice =
        names.length < 2
          ? undefined
          : names.find((name, at) => names.findIndex((other) => sameEncoding(other.raw, name.raw)) !== at);
      return twice === undefined ? undefined : `${generalNameText(twice)} is there twice`;
    },
  },
  {
    id: 'subject-alt-name.ia5',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'rfc822Name, dNSName and uniformResourceIdentifier are IA5String: octets below 80 only.',
    check: ({ subjectAltName }) => {
      const name = subjectAltName?.names.find((candidate) => isText(candidate) && !isIa5(candidate));
      return name === undefined ? undefined : `${generalNameText(name)} is no IA5String`;
    },
  },
  {
    id: 'subject-alt-name.empty-name',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'No rfc822Name, dNSName or uniformResourceIdentifier is empty.',
    check: ({ subjectAltName }) => {
      const name = subjectAltName?.names.find((candidate) => isText(candidate) && candidate.text === '');
      return name === undefined ? undefined : `a name of kind ${name.kind} is empty`;
    },
  },
  {
    id: 'subject-alt-name.dns',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.6')}; RFC 1034 §3.5`,
    what: 'A dNSName is labels of letters, digits and inner hyphens.',
    check: inNames('dns', ({ text }) =>
      text === '' || DNS_NAME.test(text) ? undefined : `"${text}" is no host name`,
    ),
  },
  {
    id: 'device.subject-alt-name.wildcard',
    severity: 'error',
    kinds: [...DEVICES, 'operator', 'ocsp-responder', 'ca'],
    source: `RFC 9525 §6.3; ${IOT_PROFILE}`,
    what: 'Only a server may have a wildcard for a name.',
    check: inNames('dns', ({ text }) => (text.includes('*') ? `"${text}" has a wildcard` : undefined)),
  },
  {
    id: 'subject-alt-name.uri',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'A uniformResourceIdentifier is absolute: a scheme and something that it leads to.',
    check: inNames('uri', ({ text }) => (text === '' ? undefined : urlFault(text))),
  },
  {
    id: 'subject-alt-name.email',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'An rfc822Name is a mailbox without a name around it: local@host.',
    check: inNames('email', ({ text }) =>
      text === '' || MAILBOX.test(text) ? undefined : `"${text}" is no mailbox`,
    ),
  },
  {
    id: 'subject-alt-name.ip',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'An iPAddress has 4 or 16 octets.',
    check: inNames('ip', ({ raw }) =>
      lengthOf(raw) === 4 || lengthOf(raw) === 16
        ? undefined
        : `an iPAddress has ${lengthOf(raw)} octets (text, or a mask?)`,
    ),
  },
  {
    id: 'subject-alt-name.directory-name',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'A directoryName is a Name that is not empty.',
    check: inNames('directory', ({ directoryName }) =>
      directoryName !== undefined && directoryName.fault === undefined && !isEmptyName(directoryName)
        ? undefined
        : 'a directoryName is empty or no Name',
    ),
  },
  {
    id: 'subject-alt-name.other-name',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.6'),
    what: 'An otherName is { type-id, value [0] EXPLICIT }.',
    check: inNames('other', ({ typeId, otherValue }) =>
      otherValue === undefined ? `the value of otherName ${typeId} is not inside [0] EXPLICIT` : undefined,
    ),
  },
  {
    id: 'idevid.subject-alt-name.missing',
    severity: 'notice',
    kinds: ['idevid'],
    source: ieee8021ar('8.10.4'),
    what: 'An IDevID has a subjectAltName with its hardwareModuleName.',
    check: ({ subjectAltName }) => (subjectAltName === undefined ? 'there is no subjectAltName' : undefined),
  },
  {
    id: 'idevid.subject-alt-name.hardware-module-name',
    severity: 'error',
    kinds: ['idevid'],
    source: ieee8021ar('8.10.4'),
    what: "An IDevID's subjectAltName, where there is one, holds a hardwareModuleName.",
    check: (certificate) =>
      certificate.subjectAltName !== undefined && !has(certificate, 'other', OID.hardwareModuleName)
        ? 'subjectAltName holds no hardwareModuleName'
        : undefined,
  },
  {
    id: 'server.subject-alt-name.missing',
    severity: 'error',
    kinds: ['server'],
    source: 'RFC 9525 §2',
    what: "A server's names are in its subjectAltName, as dNSName or iPAddress; clients no longer look at the CN.",
    check: (certificate) =>
      has(certificate, 'dns') || has(certificate, 'ip')
        ? undefined
        : 'subjectAltName holds neither dNSName nor iPAddress',
  },
];
