import { hash } from 'node:crypto';
import { readCertificate } from '../x509/certificate.ts';
import { NO_EXPIRY } from '../x509/der/time.ts';
import { fraction } from './backoff.ts';
import type { RenewalWindow } from './ports.ts';

/** Where nobody tells a window: from two thirds of the validity on, for a sixth of it. */
const OWN_WINDOW = { start: 2 / 3, end: 5 / 6 } as const;

/**
 * When a certificate is to be renewed, milliseconds since the epoch: a moment in the window that is drawn evenly (RFC 9773
 * §4.2) and is the same each time, since the certificate's own octets draw it; a fleet is spread by that too. Never where
 * nobody tells a window and the certificate has no end.
 *
 * @param window as the server tells it; without it our own
 */
export function planRenewal(certificate: Uint8Array, window: RenewalWindow | undefined): number {
  const { notBefore, notAfter } = readCertificate(certificate).tbs;
  if (!window && notAfter.at === NO_EXPIRY) return Number.POSITIVE_INFINITY;
  const span = notAfter.at - notBefore.at;
  const { start, end } = window ?? {
    start: notBefore.at + span * OWN_WINDOW.start,
    end: notBefore.at + span * OWN_WINDOW.end,
  };
  return momentIn({ start, end }, hash('sha256', certificate, 'buffer'));
}

/** The moment in a window that four octets draw, milliseconds since the epoch. */
export function momentIn({ start, end }: RenewalWindow, drawn: Uint8Array): number {
  return Math.floor(start + (end - start) * fraction(drawn));
}
