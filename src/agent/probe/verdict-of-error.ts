import { BirthmarkError } from '../../core/errors.ts';
import type { ProbeVerdict } from '../ports.ts';

/**
 * Alerts with which the other side of TLS says that it does not take a certificate (RFC 8446 §6.2): bad, unsupported, revoked,
 * expired, unknown, of an unknown CA, denied, required. `handshake_failure` and `decrypt_error` have other causes too.
 */
const ALERTS: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48, 49, 116]);
const ALERT_NUMBER = /SSL alert number (\d+)/;
/** Of our own side: the credential could not be shown at all, which is no answer. */
const OURS: ReadonlySet<string> = new Set(['key-store-failed', 'config-invalid']);

/**
 * What it says of a credential that a connection on which it was shown came to nothing: an alert against the certificate refuses
 * it; a reset, an end or silence says nothing, since a server that is being restarted does the same.
 *
 * @throws what is no error of a connection
 */
export function verdictOfError(error: unknown): Exclude<ProbeVerdict, { kind: 'accepted' }> {
  if (!(error instanceof Error) || !isOfConnection(error)) throw error;
  const alert = ALERT_NUMBER.exec(error.message)?.[1];
  const kind = alert !== undefined && ALERTS.has(Number(alert)) ? 'refused' : 'unclear';
  return { kind, detail: error.message.trimEnd() };
}

function isOfConnection(error: Error): boolean {
  return error instanceof BirthmarkError ? !OURS.has(error.code) : 'code' in error;
}
