import { TAG } from '../../../x509/der/tags.ts';
import { ALL_KINDS, type LintRule } from '../rule.ts';
import { ieee8021ar, TCG_DEVID } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { dottedOf, OID } from '../view/oids.ts';
import { hexOf, lengthOf, type Tlv, textOf } from '../view/tlv.ts';

/** The first otherName of that type that the judge has something to say of; those without their [0] have a rule already. */
function inOtherNames(
  typeId: string,
  judge: (value: Tlv, certificate: CertificateView) => string | undefined,
): LintRule['check'] {
  return (certificate) => {
    if (certificate.subjectAltName === undefined) return undefined;
    for (const name of certificate.subjectAltName.names) {
      if (name.typeId !== typeId || name.otherValue === undefined) continue;
      const detail = judge(name.otherValue, certificate);
      if (detail !== undefined) return detail;
    }
    return undefined;
  };
}

/** hwSerialNum of a well-formed HardwareModuleName. */
function hwSerialNum(value: Tlv): Tlv | undefined {
  const hwType = value.first;
  const serial = hwType?.next;
  const sound =
    value.tag === TAG.sequence &&
    hwType?.tag === TAG.oid &&
    serial?.tag === TAG.octetString &&
    serial.next === undefined;
  return sound ? serial : undefined;
}

interface PermanentIdentifier {
  readonly identifierValue: Tlv | undefined;
  readonly assigner: Tlv | undefined;
}

function permanentIdentifier(value: Tlv): PermanentIdentifier | undefined {
  let field = value.tag === TAG.sequence ? value.first : undefined;
  const identifierValue = field?.tag === TAG.utf8String ? field : undefined;
  if (identifierValue !== undefined) field = field?.next;
  const assigner = field?.tag === TAG.oid ? field : undefined;
  if (assigner !== undefined) field = field?.next;
  return value.tag === TAG.sequence && field === undefined ? { identifierValue, assigner } : undefined;
}

/** Manufacturer's code of eight hexadecimal digits, EK certificate's authority key identifier, its serial number. */
const TPM_SERIAL = /^[0-9a-f]{8}:[0-9a-f]+:[0-9a-f]+$/i;
const SHA256_HEX = /^[0-9a-f]{64}$/i;

export const hardwareModuleNameRules: readonly LintRule[] = [
  {
    id: 'hardware-module-name.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 4108 §5',
    what: 'A hardwareModuleName is SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING }.',
    check: inOtherNames(OID.hardwareModuleName, (value) =>
      hwSerialNum(value) === undefined
        ? 'hardwareModuleName is not of that syntax (is hwSerialNum a string of characters?)'
        : undefined,
    ),
  },
  {
    id: 'hardware-module-name.serial-empty',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 4108 §5',
    what: 'hwSerialNum is not empty.',
    check: inOtherNames(OID.hardwareModuleName, (value) => {
      const serial = hwSerialNum(value);
      return serial !== undefined && lengthOf(serial) === 0 ? 'hwSerialNum is empty' : undefined;
    }),
  },
  {
    id: 'hardware-module-name.several',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: `RFC 4108 §5; ${ieee8021ar('8.10.4')}`,
    what: 'A device has one hardwareModuleName.',
    check: ({ subjectAltName }) => {
      const count =
        subjectAltName?.names.filter(({ typeId }) => typeId === OID.hardwareModuleName).length ?? 0;
      return count > 1 ? `subjectAltName has ${count} of them` : undefined;
    },
  },
  {
    id: 'hardware-module-name.tpm-serial',
    severity: 'notice',
    kinds: ALL_KINDS,
    source: TCG_DEVID,
    what: 'Where hwType is a TPM 2.0 (2.23.133.1.2), hwSerialNum is MANUFACTURER:EK-AKI:EK-SERIAL.',
    check: inOtherNames(OID.hardwareModuleName, (value) => {
      const serial = dottedOf(value.first) === OID.tpm20 ? hwSerialNum(value) : undefined;
      return serial === undefined || TPM_SERIAL.test(textOf(serial))
        ? undefined
        : `hwSerialNum "${textOf(serial)}" is not of that form`;
    }),
  },
  {
    id: 'permanent-identifier.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 4043 §2',
    what: 'A PermanentIdentifier is SEQUENCE { identifierValue UTF8String OPTIONAL, assigner OBJECT IDENTIFIER OPTIONAL }.',
    check: inOtherNames(OID.permanentIdentifier, (value) =>
      permanentIdentifier(value) === undefined ? 'PermanentIdentifier is not of that syntax' : undefined,
    ),
  },
  {
    id: 'permanent-identifier.without-value',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 4043 §2',
    what: "A PermanentIdentifier without identifierValue stands for the subject's serialNumber, which must be there.",
    check: inOtherNames(OID.permanentIdentifier, (value, { subject }) => {
      const identifier = permanentIdentifier(value);
      if (identifier === undefined || identifier.identifierValue !== undefined) return undefined;
      return subject.attributes.some(({ type }) => type === OID.serialNumber)
        ? undefined
        : 'PermanentIdentifier identifies nothing';
    }),
  },
  {
    id: 'permanent-identifier.tpm-digest',
    severity: 'notice',
    kinds: ALL_KINDS,
    source: TCG_DEVID,
    what: "Where the assigner is 2.23.133.12.1, identifierValue is the SHA-256 of the TPM's EK certificate in hexadecimal.",
    check: inOtherNames(OID.permanentIdentifier, (value) => {
      const identifier = permanentIdentifier(value);
      if (identifier?.assigner === undefined || dottedOf(identifier.assigner) !== OID.ekPermIdSha256)
        return undefined;
      const text = identifier.identifierValue === undefined ? '' : textOf(identifier.identifierValue);
      return SHA256_HEX.test(text) ? undefined : `identifierValue "${text}" is no SHA-256 in hexadecimal`;
    }),
  },
  {
    id: 'mac-address.form',
    severity: 'error',
    kinds: ALL_KINDS,
    source: 'RFC 10031 §3.1',
    what: 'A MACAddress is an OCTET STRING of 6 or 8 octets, never text.',
    check: inOtherNames(OID.macAddress, (value) =>
      value.tag === TAG.octetString && (lengthOf(value) === 6 || lengthOf(value) === 8)
        ? undefined
        : `MACAddress ${hexOf(value)} is not an OCTET STRING of 6 or 8 octets`,
    ),
  },
];
