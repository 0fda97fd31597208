import { DEVICES, type LintRule } from '../rule.ts';
import { IOT_PROFILE } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import { OID } from '../view/oids.ts';
import { textOf } from '../view/tlv.ts';

/** Six or eight octets in hexadecimal, joined by `:` or `-`; or in groups of four digits, as switches print them. */
const MAC =
  /^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}(?:[0-9a-f]{2}\1[0-9a-f]{2}\1)?[0-9a-f]{2}|[0-9a-f]{4}(?:[.:-][0-9a-f]{4}){2,3})$/i;
/** Twelve or sixteen hexadecimal digits with both letters and figures among them: a serial number seldom looks so. */
const BARE_MAC = /^(?=.*[a-f])(?=.*[0-9])(?:[0-9a-f]{12}|[0-9a-f]{16})$/i;
const DOMAIN = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\.?$/i;

function commonNames(certificate: CertificateView, pattern: RegExp): string | undefined {
  for (const { type, value } of certificate.subject.attributes) {
    if (type !== OID.CN) continue;
    const text = textOf(value);
    if (pattern.test(text)) return text;
  }
  return undefined;
}

/** What a device's CN must not be taken for. */
export const commonNameRules: readonly LintRule[] = [
  {
    id: 'device.common-name.mac-address',
    severity: 'warning',
    kinds: DEVICES,
    source: `RFC 10031 §3.1; ${IOT_PROFILE}`,
    what: 'A CN is no MAC address or EUI-64: those belong into a MACAddress otherName.',
    check: (certificate) => {
      const text = commonNames(certificate, MAC) ?? commonNames(certificate, BARE_MAC);
      return text === undefined ? undefined : `the CN "${text}" looks like a MAC address`;
    },
  },
  {
    id: 'device.common-name.domain',
    severity: 'warning',
    kinds: DEVICES,
    source: `RFC 9525 §2; ${IOT_PROFILE}`,
    what: 'A CN is no domain name: those belong into a dNSName.',
    check: (certificate) => {
      const text = commonNames(certificate, DOMAIN);
      return text === undefined ? undefined : `the CN "${text}" looks like a domain name`;
    },
  },
];
