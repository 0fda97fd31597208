import { ALL_KINDS, type LintRule } from '../rule.ts';
import { rfc5280 } from '../sources.ts';
import type { CertificateView } from '../view/certificate-view.ts';
import type { DistributionPoint } from '../view/distribution.ts';
import { urlFault } from '../view/general-name.ts';
import { OID } from '../view/oids.ts';
import { sameContent } from '../view/tlv.ts';

const METHODS: readonly string[] = [OID.ocspAccess, OID.caIssuersAccess];

function inPoints(
  judge: (point: DistributionPoint, certificate: CertificateView) => string | undefined,
): LintRule['check'] {
  return (certificate) => {
    for (const point of certificate.crlDistributionPoints?.points ?? []) {
      const detail = judge(point, certificate);
      if (detail !== undefined) return detail;
    }
    return undefined;
  };
}

/** The URLs of the names, in their order. */
function urlsOf({ names }: Pick<DistributionPoint, 'names'>): readonly string[] {
  return names.filter(({ kind }) => kind === 'uri').map(({ text }) => text);
}

function isPlainHttp(url: string): boolean {
  return /^http:\/\//i.test(url);
}

function isHttps(url: string): boolean {
  return /^https:\/\//i.test(url);
}

export const distributionRules: readonly LintRule[] = [
  {
    id: 'crl-distribution-points.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'cRLDistributionPoints is a SEQUENCE OF DistributionPoint, not empty, its names GeneralNames.',
    check: ({ crlDistributionPoints: dps }) =>
      dps !== undefined && (!dps.wellFormed || dps.points.length === 0)
        ? 'cRLDistributionPoints is empty or not of that syntax'
        : undefined,
  },
  {
    id: 'crl-distribution-points.critical',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'cRLDistributionPoints is not critical.',
    check: ({ crlDistributionPoints }) =>
      crlDistributionPoints?.critical ? 'cRLDistributionPoints is critical' : undefined,
  },
  {
    id: 'crl-distribution-points.without-name',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'A DistributionPoint has a name or a cRLIssuer; reasons alone, or nothing, lead nowhere.',
    check: inPoints(({ hasName, hasReasons, crlIssuer }) => {
      if (hasName || crlIssuer !== undefined) return undefined;
      return hasReasons ? 'a DistributionPoint has reasons only' : 'a DistributionPoint is empty';
    }),
  },
  {
    id: 'crl-distribution-points.reasons',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'At least one DistributionPoint covers all reasons.',
    check: ({ crlDistributionPoints }) => {
      const points = crlDistributionPoints?.points ?? [];
      const limited = points.length > 0 && points.every(({ hasName, hasReasons }) => hasReasons && hasName);
      return limited ? 'every DistributionPoint is limited to some reasons' : undefined;
    },
  },
  {
    id: 'crl-distribution-points.crl-issuer',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: "cRLIssuer is left out where the CRL's issuer is the certificate's.",
    check: inPoints(({ crlIssuer }, { issuer }) => {
      const name = crlIssuer?.first?.first;
      return name !== undefined && sameContent(name, issuer.raw) ? 'cRLIssuer repeats the issuer' : undefined;
    }),
  },
  {
    id: 'crl-distribution-points.relative',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'No DistributionPoint is named relative to the issuer.',
    check: inPoints(({ isRelative }) =>
      isRelative ? 'a DistributionPoint has nameRelativeToCRLIssuer' : undefined,
    ),
  },
  {
    id: 'crl-distribution-points.url',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.13'),
    what: 'The URLs of CRLs are absolute and name a host.',
    check: inPoints((point) =>
      urlsOf(point)
        .map(urlFault)
        .find((fault) => fault !== undefined),
    ),
  },
  {
    id: 'crl-distribution-points.http',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: `${rfc5280('4.2.1.13')}; ${rfc5280('8')}`,
    what: 'A named DistributionPoint has an http URL: https needs a status check to do a status check.',
    check: inPoints((point) => {
      const { hasName, isRelative } = point;
      return !hasName || isRelative || urlsOf(point).some(isPlainHttp)
        ? undefined
        : 'a DistributionPoint has no http URL';
    }),
  },
  {
    id: 'freshest-crl.critical',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.1.15'),
    what: 'freshestCRL is not critical.',
    check: ({ freshestCrl }) => (freshestCrl?.critical ? 'freshestCRL is critical' : undefined),
  },
  {
    id: 'authority-info-access.malformed',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.2.1'),
    what: 'authorityInfoAccess is a SEQUENCE OF SEQUENCE { accessMethod, accessLocation GeneralName }, not empty.',
    check: ({ authorityInfoAccess: aia }) =>
      aia !== undefined && (!aia.wellFormed || aia.descriptions.length === 0)
        ? 'authorityInfoAccess is empty or not of that syntax'
        : undefined,
  },
  {
    id: 'authority-info-access.critical',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.2.1'),
    what: 'authorityInfoAccess is not critical.',
    check: ({ authorityInfoAccess }) =>
      authorityInfoAccess?.critical ? 'authorityInfoAccess is critical' : undefined,
  },
  {
    id: 'authority-info-access.url',
    severity: 'error',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.2.1'),
    what: 'The URLs of issuers and responders are absolute and name a host.',
    check: ({ authorityInfoAccess }) => {
      for (const { location } of authorityInfoAccess?.descriptions ?? []) {
        const fault = location.kind === 'uri' ? urlFault(location.text) : undefined;
        if (fault !== undefined) return fault;
      }
      return undefined;
    },
  },
  {
    id: 'authority-info-access.https',
    severity: 'warning',
    kinds: ALL_KINDS,
    source: rfc5280('8'),
    what: 'The URLs of issuers and responders are not https, which would need what they lead to.',
    check: ({ authorityInfoAccess }) => {
      const found = authorityInfoAccess?.descriptions.find(({ location }) => isHttps(location.text));
      return found === undefined ? undefined : `authorityInfoAccess leads to ${found.location.text}`;
    },
  },
  {
    id: 'authority-info-access.method',
    severity: 'notice',
    kinds: ALL_KINDS,
    source: rfc5280('4.2.2.1'),
    what: 'The access methods are id-ad-ocsp and id-ad-caIssuers.',
    check: ({ authorityInfoAccess }) => {
      const found = authorityInfoAccess?.descriptions.find(({ method }) => !METHODS.includes(method));
      return found === undefined ? undefined : `the access method is ${found.method}`;
    },
  },
  {
    id: 'ca.crl-distribution-points.missing',
    severity: 'warning',
    kinds: ['ca'],
    source: rfc5280('4.2.1.13'),
    what: 'An authority that is no root names the CRL that may revoke it.',
    check: ({ crlDistributionPoints, selfIssued }) =>
      crlDistributionPoints === undefined && !selfIssued ? 'there is no cRLDistributionPoints' : undefined,
  },
  {
    id: 'ca.authority-info-access.missing',
    severity: 'notice',
    kinds: ['ca'],
    source: rfc5280('4.2.2.1'),
    what: "An authority that is no root names where its issuer's certificate is found.",
    check: ({ authorityInfoAccess, selfIssued }) =>
      authorityInfoAccess === undefined && !selfIssued ? 'there is no authorityInfoAccess' : undefined,
  },
];
