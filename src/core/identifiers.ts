import { BirthmarkError } from './errors.ts';

/** PrintableString of X.680 §41.4, which is what X520SerialNumber must be (RFC 5280 Appendix A.1). */
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]+$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const OID = /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]{0,9}))(?:\.(?:0|[1-9][0-9]{0,9})){0,30}$/;
const HEX_SERIAL = /^(?:[0-9a-f]{2}){1,20}$/;

const DNS_NAME =
  /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const MAX_DNS_NAME = 253;
const ENDS_IN_NUMBER = /(?:^|\.)[0-9]+$/;

/** ub-serial-number of RFC 5280 Appendix A.1. */
const MAX_SERIAL_NUMBER_LENGTH = 64;

/** The namespace of the devices that this authority itself gave their IDevIDs. */
export const OWN_NAMESPACE = 'own';

/**
 * Reads a device's serial number: 1 to 64 characters that a PrintableString can hold, no space at either end
 * (name comparison ignores those, RFC 5280 §7.1, so two devices would look like one).
 *
 * @throws BirthmarkError `serial-number-invalid`
 */
export function parseSerialNumber(text: string, field = 'serialNumber'): string {
  if (
    text.length > 0 &&
    text.length <= MAX_SERIAL_NUMBER_LENGTH &&
    PRINTABLE.test(text) &&
    text.trim() === text &&
    !text.includes('  ')
  ) {
    return text;
  }
  throw new BirthmarkError(
    'serial-number-invalid',
    `${field} must have 1 to ${MAX_SERIAL_NUMBER_LENGTH} characters out of A–Z a–z 0–9 space ' ( ) + , - . / : = ? ` +
      'with no space at its ends and no two in a row (X520SerialNumber is a PrintableString)',
    { field },
  );
}

/** Whether the text fits a PrintableString. */
export function isPrintable(text: string): boolean {
  return PRINTABLE.test(text);
}

/** Whether the text is a label: lower-case letters, digits and inner hyphens, 1 to 64 characters. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether the text is a DNS name, with a whole first label for a wildcard (RFC 1123 §2.1). */
export function isDnsName(text: string): boolean {
  return DNS_NAME.test(text) && text.length <= MAX_DNS_NAME && !endsInNumber(text);
}

/** Whether clients read the text as an IPv4 address, and never look for it among the DNS names. */
export function endsInNumber(text: string): boolean {
  return ENDS_IN_NUMBER.test(text);
}

/** Whether the text is an object identifier in dotted form, at most 32 arcs of at most ten digits. */
export function isOid(text: string): boolean {
  return OID.test(text);
}

/**
 * Reads a certificate's serial number as operators write it: hexadecimal, any case, colons and `0x` allowed.
 * Returns lower-case hexadecimal of whole octets, without the leading zeros that some programs show and some do not.
 *
 * @throws BirthmarkError `bad-request`
 */
export function parseCertificateSerial(text: string, field = 'serial'): string {
  const plain = text.trim().toLowerCase().replace(/^0x/, '').replaceAll(':', '');
  const hex = (plain.length % 2 === 1 ? `0${plain}` : plain).replace(/^(?:00)+(?=..)/, '');
  if (HEX_SERIAL.test(hex)) return hex;
  throw new BirthmarkError(
    'bad-request',
    `${field} must be a certificate's serial number in hexadecimal, at most 20 octets`,
    {
      field,
    },
  );
}

/** Text without control characters, as a JSON schema's pattern: what is shown on a terminal must not steer it. */
export const PLAIN_TEXT = '^[^\\u0000-\\u001F\\u007F-\\u009F]*$';
