import { equalBytes } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { readCertificate } from '../x509/certificate.ts';
import { sameName } from '../x509/compare-names.ts';
import { openTrust } from '../x509/path/trust.ts';
import { validatePath } from '../x509/path/validate-path.ts';
import { serialNumberOf } from './est/make-csr.ts';
import type { DeviceKey, Voucher } from './ports.ts';

export interface IssuedRules {
  readonly key: DeviceKey;
  readonly by: Voucher;
  /** DER. */
  readonly anchors: readonly Uint8Array[];
  readonly intermediates: readonly Uint8Array[];
  /** Milliseconds since the epoch; one that begins later is judged for its beginning. */
  readonly at: number;
}

/**
 * Holds a certificate that came to what was asked for: our key, our name, a path to one of our roots, good for a TLS client.
 *
 * @returns the chain to send along, DER: the certificate, then what stands between it and the root
 * @throws BirthmarkError `answer-refused`, which names the rule
 */
export function judgeIssued(
  certificate: Uint8Array,
  { key, by, anchors, intermediates, at }: IssuedRules,
): readonly [Uint8Array, ...Uint8Array[]] {
  const { tbs } = readCertificate(certificate);
  if (!equalBytes(tbs.spki, key.spki)) throw refused('is for another key than ours');
  if (!isOurs(tbs.subject, by)) throw refused('names another device');
  const verdict = validatePath(certificate, {
    trust: openTrust({ anchors, intermediates }),
    at: Math.max(at, tbs.notBefore.at),
    purpose: 'clientAuth',
  });
  if (verdict.reason !== 'ok') throw refused(`does not hold: ${verdict.detail}`);
  // The root at the end is what others have already.
  return [certificate, ...verdict.path.slice(1, -1)];
}

function isOurs(subject: Uint8Array, by: Voucher): boolean {
  if (by.kind === 'ticket') return serialNumberOf(subject) === by.serialNumber;
  const mine = readCertificate(by.credential.chain[0]).tbs.subject;
  return by.kind === 'current' ? sameName(subject, mine) : serialNumberOf(subject) === serialNumberOf(mine);
}

function refused(why: string): BirthmarkError {
  return new BirthmarkError('answer-refused', `the certificate that came ${why}; it is not used`);
}
