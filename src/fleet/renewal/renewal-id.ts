import { BirthmarkError } from '../../core/errors.ts';

/** What RFC 9773 §4.1 names a certificate by. */
export interface RenewalId {
  /** keyIdentifier of its authorityKeyIdentifier. */
  readonly issuerKeyId: Uint8Array;
  /** The octets of its serialNumber's INTEGER. */
  readonly serial: Uint8Array;
}

const FORM = /^([A-Za-z0-9_-]{1,172})\.([A-Za-z0-9_-]{1,28})$/;

export function renewalId({ issuerKeyId, serial }: RenewalId): string {
  return `${Buffer.from(issuerKeyId).toString('base64url')}.${Buffer.from(serial).toString('base64url')}`;
}

/**
 * Reads an id strictly: base64url without padding, in its one spelling, and a serial number as DER has it (positive, no octet
 * too many).
 *
 * @throws BirthmarkError `bad-request`
 */
export function parseRenewalId(text: string): RenewalId {
  const [, key = '', number = ''] = FORM.exec(text) ?? [];
  const [issuerKeyId, serial] = [Buffer.from(key, 'base64url'), Buffer.from(number, 'base64url')];
  const [first = 0xff, second = 0xff] = serial;
  const isMinimal = first < 0x80 && (first > 0 || (serial.length > 1 && second >= 0x80));
  if (serial.length > 0 && isMinimal && renewalId({ issuerKeyId, serial }) === text)
    return { issuerKeyId, serial };
  throw new BirthmarkError(
    'bad-request',
    "the id is base64url(keyIdentifier of the authorityKeyIdentifier) '.' base64url(serial number, DER value), both without padding (RFC 9773 §4.1)",
    { field: 'id' },
  );
}
