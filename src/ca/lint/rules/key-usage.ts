import { KEY_USAGE, type KeyUsageName } from '../../../x509/extensions.ts';
import { ALL_KINDS, END_ENTITIES, type LintRule } from '../rule.ts';
import { IOT_PROFILE, ieee8021ar, rfc5280, TCG_DEVID, x690 } from '../sources.ts';
import type { KeyUsage } from '../view/extension-values.ts';

const NAMES = Object.keys(KEY_USAGE);

function maskOf(...names: readonly KeyUsageName[]): number {
  return names.reduce((mask, name) => mask | (1 << KEY_USAGE[name]), 0);
}

/** The usages of the mask that are there, for people; undefined where there is none. */
function foundIn(keyUsage: KeyUsage | undefined, mask: number): string | undefined {
  const found = (keyUsage?.bits ?? 0) & mask;
  if (found === 0) return undefined;
  const names = NAMES.filter((_, bit) => (found & (1 << bit)) !== 0);
  return found >>> NAMES.length === 0 ? names.join(', ') : [...names, 'a bit without a name'].join(', ');
}

function lacks(keyUsage: KeyUsage | undefined, name: KeyUsageName): boolean {
  return keyUsage?.wellFormed === true && (keyUsage.bits & maskOf(name)) === 0;
}

const CA_ONLY = maskOf('keyCertSign', 'cRLSign');
const ENCIPHERMENT = maskOf('keyEncipherment', 'dataEncipherment');
const AGREEMENT = maskOf('keyAgreement', 'encipherOnly', 'decipherOnly');
const ONLY = maskOf('encipherOnly', 'decipherOnly');
const UNUSUAL_IN_END_ENTITY = ~(maskOf('digitalSignature', 'keyEncipherment') | CA_ONLY);
const UNUSUAL_IN_CA = ~(CA_ONLY | maskOf('digitalSignature', 'nonRepudiation'));

export const keyUsageRules: readonly LintRule[] = [
  {
    id: 'key-usage.missing',
    severity: 'error',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.3')}; ${ieee8021ar('8.10.3')}; ${IOT_PROFILE}`,
    what: 'keyUsage is present.',
    check: ({ keyUsage }) => (keyUsage === undefined ? 'there is no keyUsage' : undefined),
  },
  {
    id: 'key-usage.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.3'),
    what: 'keyUsage is a BIT STRING of at most two octets.',
    check: ({ keyUsage }) =>
      keyUsage?.wellFormed === false ? 'keyUsage is not such a BIT STRING' : undefined,
  },
  {
    id: 'key-usage.trailing-zero-bits',
    severity: 'error',
    kinds: ALL_KINDS,
    source: x690('11.2.2'),
    what: 'keyUsage ends with a bit that is set.',
    check: ({ keyUsage }) =>
      keyUsage?.trailingZeros === true ? 'keyUsage ends with zero bits, which DER leaves out' : undefined,
  },
  {
    id: 'key-usage.empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.3'),
    what: 'keyUsage has at least one bit set.',
    check: ({ keyUsage }) =>
      keyUsage?.wellFormed === true && keyUsage.bits === 0 ? 'keyUsage allows nothing' : undefined,
  },
  {
    id: 'key-usage.not-critical',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.3')}; ${IOT_PROFILE}`,
    what: 'keyUsage is critical.',
    check: ({ keyUsage }) => (keyUsage?.critical === false ? 'keyUsage is not critical' : undefined),
  },
  {
    id: 'key-usage.digital-signature',
    severity: 'error',
    kinds: END_ENTITIES,
    source: `${ieee8021ar('8.10.3')}; ${IOT_PROFILE}`,
    what: 'The keyUsage of an end entity has digitalSignature.',
    check: ({ keyUsage }) =>
      lacks(keyUsage, 'digitalSignature') ? 'keyUsage lacks digitalSignature' : undefined,
  },
  {
    id: 'key-usage.ca-only',
    severity: 'error',
    kinds: END_ENTITIES,
    source: rfc5280('4.2.1.3'),
    what: 'The keyUsage of an end entity has neither keyCertSign nor cRLSign.',
    check: ({ keyUsage }) => {
      const found = foundIn(keyUsage, CA_ONLY);
      return found === undefined ? undefined : `keyUsage has ${found}`;
    },
  },
  {
    id: 'key-usage.encipherment',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 3279 §2.3; RFC 5480 §3; RFC 8410 §5; RFC 9881 §5',
    what: 'Only an RSA key has keyEncipherment or dataEncipherment.',
    check: ({ key, keyUsage }) => {
      const found =
        key.kind === 'rsa' || key.kind === 'unknown' ? undefined : foundIn(keyUsage, ENCIPHERMENT);
      return found === undefined ? undefined : `keyUsage has ${found}, the key is ${key.label}`;
    },
  },
  {
    id: 'key-usage.agreement',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 3279 §2.3; RFC 8410 §5; RFC 9881 §5',
    what: 'Only an EC key has keyAgreement.',
    check: ({ key, keyUsage }) => {
      const found = key.kind === 'ec' || key.kind === 'unknown' ? undefined : foundIn(keyUsage, AGREEMENT);
      return found === undefined ? undefined : `keyUsage has ${found}, the key is ${key.label}`;
    },
  },
  {
    id: 'key-usage.only-without-agreement',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.3'),
    what: 'encipherOnly and decipherOnly come with keyAgreement: without it they mean nothing.',
    check: ({ keyUsage }) => {
      const found = lacks(keyUsage, 'keyAgreement') ? foundIn(keyUsage, ONLY) : undefined;
      return found === undefined ? undefined : `keyUsage has ${found} without keyAgreement`;
    },
  },
  {
    id: 'key-usage.unusual',
    severity: 'warning',
    kinds: END_ENTITIES,
    source: `${ieee8021ar('8.10.3')}; ${TCG_DEVID}`,
    what: 'The keyUsage of an end entity is digitalSignature, and for RSA keyEncipherment.',
    check: ({ keyUsage }) => {
      const found = foundIn(keyUsage, UNUSUAL_IN_END_ENTITY);
      return found === undefined ? undefined : `keyUsage has ${found}`;
    },
  },
  {
    id: 'idevid.key-usage.key-encipherment',
    severity: 'notice',
    kinds: ['idevid'],
    source: TCG_DEVID,
    what: 'The keyUsage of an IDevID is digitalSignature only: keyEncipherment serves a key exchange that TLS gave up.',
    check: ({ keyUsage }) => foundIn(keyUsage, maskOf('keyEncipherment')) && 'keyUsage has keyEncipherment',
  },
  {
    id: 'ca.key-usage.key-cert-sign',
    severity: 'error',
    kinds: ['ca'],
    source: rfc5280('4.2.1.3'),
    what: "An authority's keyUsage has keyCertSign.",
    check: ({ keyUsage }) => (lacks(keyUsage, 'keyCertSign') ? 'keyUsage lacks keyCertSign' : undefined),
  },
  {
    id: 'ca.key-usage.crl-sign',
    severity: 'error',
    kinds: ['ca'],
    source: `${rfc5280('4.2.1.3')}; RFC 10007`,
    what: "An authority's keyUsage has cRLSign: without it no CRL of its own is taken.",
    check: ({ keyUsage }) => (lacks(keyUsage, 'cRLSign') ? 'keyUsage lacks cRLSign' : undefined),
  },
  {
    id: 'ca.key-usage.unusual',
    severity: 'warning',
    kinds: ['ca'],
    source: rfc5280('4.2.1.3'),
    what: "An authority's key signs and does nothing else.",
    check: ({ keyUsage }) => {
      const found = foundIn(keyUsage, UNUSUAL_IN_CA);
      return found === undefined ? undefined : `keyUsage has ${found}`;
    },
  },
];
