import Type from 'typebox';
import type { Profile } from '../../ca/profile.ts';
import { parseBase64, toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { isOid, OWN_NAMESPACE, PLAIN_TEXT, parseSerialNumber } from '../../core/identifiers.ts';
import { schemaParser } from '../../core/schema.ts';
import type { HardwareModule } from '../../fleet/ports.ts';
import { toPem } from '../../x509/pem.ts';
import { parseCsrText } from '../csr-text.ts';
import type { EnrollmentRequest, EnrollmentResult } from '../enroller.ts';

const MAX_HW_SERIAL_OCTETS = 64;
/** A serial number is told back in an error as it came, unless it is absurd. */
const MAX_ECHO = 256;

/** A line of a batch: one device. */
const FactoryLineSchema = Type.Object(
  {
    serialNumber: Type.String({
      description: "The device's serial number: 1 to 64 characters of a PrintableString.",
    }),
    csr: Type.String({ description: 'PKCS#10, as PEM or as base64 of the DER.' }),
    hwType: Type.Optional(
      Type.String({ description: 'hwType of RFC 4108 §5, an object identifier in dotted form.' }),
    ),
    hwSerialNum: Type.Optional(
      Type.String({ description: 'hwSerialNum of RFC 4108 §5, base64 of 1 to 64 octets.' }),
    ),
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: PLAIN_TEXT })),
    batch: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: PLAIN_TEXT })),
  },
  { additionalProperties: false },
);

const parseLineObject = schemaParser(FactoryLineSchema, 'bad-request');

/** A line as read: a request, or what was wrong with it and how to name the line in the answer. */
export type FactoryLine =
  | { readonly name: LineName; readonly request: EnrollmentRequest }
  | { readonly name: LineName; readonly error: BirthmarkError };

/** By the serial number that the line gave, or by its number (from 1) where it gave none. */
export type LineName = { readonly serialNumber: string } | { readonly line: number };

/**
 * Reads a line. Never throws: what is wrong with a line is answered in its place.
 *
 * @param number from 1
 */
export function readFactoryLine(text: string, number: number, profile: Profile): FactoryLine {
  let name: LineName = { line: number };
  try {
    const value = parseJson(text);
    if (typeof value === 'object' && value !== null && 'serialNumber' in value) {
      const { serialNumber } = value;
      if (typeof serialNumber === 'string' && serialNumber.length <= MAX_ECHO) name = { serialNumber };
    }
    const line = parseLineObject(value, '');
    const hardware = parseHardware(line.hwType, line.hwSerialNum, profile);
    const request: EnrollmentRequest = {
      device: { namespace: OWN_NAMESPACE, serialNumber: parseSerialNumber(line.serialNumber) },
      profile,
      csr: parseCsrText(line.csr),
      ...(line.model === undefined ? {} : { model: line.model }),
      ...(line.batch === undefined ? {} : { batch: line.batch }),
      ...(hardware === undefined ? {} : { hardware }),
    };
    return { name, request };
  } catch (error) {
    if (error instanceof BirthmarkError) return { name, error };
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BirthmarkError('bad-json', 'the line is no JSON (RFC 8259)');
  }
}

/**
 * Reads a hardwareModuleName's two halves.
 *
 * @throws BirthmarkError `hardware-name-invalid`, `bad-base64`
 */
export function parseHardware(
  type: string | undefined,
  serial: string | undefined,
  profile: Profile,
): HardwareModule | undefined {
  const hwType = type ?? (serial === undefined ? undefined : profile.hwType);
  if (hwType === undefined && serial === undefined) return undefined;
  const refuse = (field: string, rule: string) =>
    new BirthmarkError('hardware-name-invalid', `${field} ${rule} (RFC 4108 §5)`, { field });
  if (hwType === undefined || !isOid(hwType))
    throw refuse('hwType', 'must be an object identifier in dotted form');
  if (serial === undefined) throw refuse('hwSerialNum', 'is missing beside hwType');
  const hwSerialNum = parseBase64(serial, 'hwSerialNum');
  if (hwSerialNum.length === 0 || hwSerialNum.length > MAX_HW_SERIAL_OCTETS) {
    throw refuse('hwSerialNum', `must have 1 to ${MAX_HW_SERIAL_OCTETS} octets`);
  }
  return { hwType, hwSerialNum };
}

/** The answer's line for a certificate, with its line feed. */
export function writeResultLine(result: EnrollmentResult): string {
  const answer = {
    serialNumber: result.serialNumber,
    serial: toHex(result.serial),
    certificate: toPem('CERTIFICATE', result.certificate),
    ...(result.notGranted.length === 0 ? {} : { notGranted: result.notGranted }),
  };
  return `${JSON.stringify(answer)}\n`;
}

/** The answer's line for a line that got nothing, with its line feed. */
export function writeErrorLine(name: LineName, { code, message }: BirthmarkError): string {
  return `${JSON.stringify({ ...name, error: { code, detail: message } })}\n`;
}
