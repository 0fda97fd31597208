import { BirthmarkError } from '../../core/errors.ts';
import { SIGNATURE_ALGORITHMS } from '../../x509/algorithms.ts';
import { assembleSigned, findExtension, readCertificate } from '../../x509/certificate.ts';
import type { Der } from '../../x509/der/encode.ts';
import { EXTENSION, extension } from '../../x509/extensions.ts';
import { ATTRIBUTE_OIDS, encodeName, parseName } from '../../x509/name.ts';
import { encodeRequestInfo } from '../../x509/request-info.ts';
import type { DeviceKey, Voucher } from '../ports.ts';

/**
 * A CSR, DER, signed where the key is. A renewal asks for the names of its certificate to the octet (RFC 7030 §4.2.2), an
 * enrollment for the device's serial number and nothing else: what else it may have is the authority's to say.
 *
 * @param binding what binds it to its connection, in base64
 */
export function makeCsr(key: DeviceKey, by: Voucher, binding?: string): Buffer {
  const info = encodeRequestInfo({
    ...namesFor(by),
    spki: key.spki,
    ...(binding !== undefined && { challengePassword: binding }),
  });
  return assembleSigned(info, SIGNATURE_ALGORITHMS[key.algorithm].der, key.sign(info));
}

function namesFor(by: Voucher): { readonly subject: Uint8Array; readonly extensions?: readonly Der[] } {
  if (by.kind === 'ticket') return { subject: serialNumberOnly(by.serialNumber) };
  const { tbs } = readCertificate(by.credential.chain[0]);
  if (by.kind === 'idevid') return { subject: serialNumberOnly(serialNumberOf(tbs.subject)) };
  const names = findExtension(tbs, EXTENSION.subjectAltName);
  if (!names) return { subject: tbs.subject };
  const { critical, value } = names;
  return { subject: tbs.subject, extensions: [extension(EXTENSION.subjectAltName, critical, value)] };
}

function serialNumberOnly(serialNumber: string): Buffer {
  return encodeName([{ type: 'serialNumber', value: serialNumber }]);
}

/** @throws BirthmarkError `serial-number-invalid` where a subject has none */
export function serialNumberOf(subject: Uint8Array): string {
  const found = parseName(subject)
    .flat()
    .find(({ oid }) => oid === ATTRIBUTE_OIDS.serialNumber);
  if (found) return found.value;
  throw new BirthmarkError(
    'serial-number-invalid',
    'the IDevID has no serialNumber in its subject (IEEE 802.1AR-2018 §8.6)',
  );
}
