import {
  constructed,
  type Der,
  explicit,
  primitive,
  sequence,
  setOf,
} from '../../../../src/x509/der/encode.ts';
import { TAG } from '../../../../src/x509/der/tags.ts';
import { nullValue, octetString, oid, utf8String } from '../../../../src/x509/der/values.ts';
import * as x509 from '../../../../src/x509/extensions.ts';
import {
  both,
  CA_NAME,
  CRL_URL,
  extend,
  OCSP_NO_CHECK,
  OCSP_URL,
  ROOT_NAME,
} from '../certificate-builder.ts';
import type { Twin } from '../twin.ts';

const uri = (url: string) => primitive(TAG.context | 6, Buffer.from(url, 'latin1'));
const fullName = (...urls: readonly string[]) =>
  explicit(0, constructed(TAG.contextConstructed, urls.map(uri)));
const reasons = primitive(TAG.context | 1, Uint8Array.of(6, 0x40));
const crlIssuer = (name: Der) => constructed(TAG.contextConstructed | 2, [explicit(4, name)]);
const points = (...list: readonly Der[]) =>
  extend({ crlDistributionPoints: x509.extension('2.5.29.31', false, sequence(...list)) });
const point = (...parts: readonly Der[]) => points(sequence(...parts));
const access = (...list: readonly Der[]) =>
  extend({ authorityInfoAccess: x509.extension('1.3.6.1.5.5.7.1.1', false, sequence(...list)) });
const OCSP = oid('1.3.6.1.5.5.7.48.1');
const FRESHEST = (critical: boolean) =>
  extend({ freshestCrl: x509.extension('2.5.29.46', critical, sequence(sequence(fullName(CRL_URL)))) });
const noRevAvail = (value: Der) => extend({ noRevAvail: x509.extension('2.5.29.56', false, value) });
const nowhere = extend({ crlDistributionPoints: undefined, authorityInfoAccess: undefined });
const masa = (value: Der) => extend({ masaUrl: x509.extension('1.3.6.1.5.5.7.1.32', false, value) });
const ia5 = (text: string) => primitive(TAG.ia5String, Buffer.from(text, 'latin1'));

export const distributionTwins: readonly Twin[] = [
  {
    rule: 'crl-distribution-points.malformed',
    kind: 'idevid',
    accepts: point(fullName(CRL_URL)),
    refuses: points(),
  },
  {
    rule: 'crl-distribution-points.malformed',
    kind: 'idevid',
    refuses: point(fullName(CRL_URL), utf8String('x')),
  },
  // fullName without the [0] of distributionPoint around it.
  {
    rule: 'crl-distribution-points.malformed',
    kind: 'idevid',
    refuses: point(constructed(TAG.contextConstructed, [uri(CRL_URL)])),
    also: ['crl-distribution-points.http'],
  },
  {
    rule: 'crl-distribution-points.critical',
    kind: 'idevid',
    refuses: extend({
      crlDistributionPoints: x509.extension('2.5.29.31', true, sequence(sequence(fullName(CRL_URL)))),
    }),
  },
  { rule: 'crl-distribution-points.without-name', kind: 'idevid', refuses: point(reasons) },
  { rule: 'crl-distribution-points.without-name', kind: 'idevid', refuses: point() },
  {
    rule: 'crl-distribution-points.reasons',
    kind: 'idevid',
    accepts: points(sequence(fullName(CRL_URL), reasons), sequence(fullName(CRL_URL))),
    refuses: point(fullName(CRL_URL), reasons),
  },
  {
    rule: 'crl-distribution-points.crl-issuer',
    kind: 'idevid',
    accepts: point(fullName(CRL_URL), crlIssuer(ROOT_NAME)),
    refuses: point(fullName(CRL_URL), crlIssuer(CA_NAME)),
  },
  {
    rule: 'crl-distribution-points.relative',
    kind: 'idevid',
    refuses: point(
      explicit(0, { ...setOf(sequence(oid('2.5.4.3'), utf8String('crl'))), tag: TAG.contextConstructed | 1 }),
    ),
  },
  ...['http:///x.crl', 'pki.example.com/x.crl', 'http://pki.example.com/a b'].map(
    (url): Twin => ({
      rule: 'crl-distribution-points.url',
      kind: 'idevid',
      accepts: point(fullName(CRL_URL)),
      refuses: point(fullName(CRL_URL, url)),
    }),
  ),
  {
    rule: 'crl-distribution-points.http',
    kind: 'idevid',
    accepts: point(fullName('ldap://d.example.com/cn=ca', CRL_URL)),
    refuses: point(fullName('https://pki.example.com/x.crl')),
  },
  { rule: 'freshest-crl.critical', kind: 'idevid', accepts: FRESHEST(false), refuses: FRESHEST(true) },
  { rule: 'authority-info-access.malformed', kind: 'idevid', refuses: access() },
  { rule: 'authority-info-access.malformed', kind: 'idevid', refuses: access(sequence(OCSP)) },
  {
    rule: 'authority-info-access.critical',
    kind: 'idevid',
    refuses: extend({
      authorityInfoAccess: x509.extension('1.3.6.1.5.5.7.1.1', true, sequence(sequence(OCSP, uri(OCSP_URL)))),
    }),
  },
  {
    rule: 'authority-info-access.url',
    kind: 'idevid',
    accepts: access(sequence(OCSP, uri(OCSP_URL))),
    refuses: access(sequence(OCSP, uri('ocsp'))),
  },
  {
    rule: 'authority-info-access.https',
    kind: 'idevid',
    accepts: access(sequence(OCSP, uri(OCSP_URL))),
    refuses: access(sequence(OCSP, uri('https://pki.example.com/ocsp'))),
  },
  {
    rule: 'authority-info-access.method',
    kind: 'idevid',
    refuses: access(sequence(oid('1.3.6.1.5.5.7.48.3'), uri(OCSP_URL))),
  },
  {
    rule: 'ca.crl-distribution-points.missing',
    kind: 'ca',
    refuses: extend({ crlDistributionPoints: undefined }),
  },
  {
    rule: 'ca.authority-info-access.missing',
    kind: 'ca',
    refuses: extend({ authorityInfoAccess: undefined }),
  },
  {
    rule: 'revocation.nowhere',
    kind: 'ldevid',
    accepts: both(nowhere, noRevAvail(nullValue())),
    refuses: nowhere,
  },
  {
    rule: 'no-rev-avail.contradiction',
    kind: 'ldevid',
    accepts: both(nowhere, noRevAvail(nullValue())),
    refuses: both(extend({ authorityInfoAccess: undefined }), noRevAvail(nullValue())),
  },
  {
    rule: 'no-rev-avail.contradiction',
    kind: 'ldevid',
    refuses: both(extend({ crlDistributionPoints: undefined }), noRevAvail(nullValue())),
  },
  {
    rule: 'no-rev-avail.malformed',
    kind: 'ldevid',
    accepts: both(nowhere, noRevAvail(nullValue())),
    refuses: both(nowhere, noRevAvail(octetString(new Uint8Array(0)))),
  },
  {
    rule: 'ca.no-rev-avail.present',
    kind: 'ca',
    accepts: extend({ crlDistributionPoints: undefined, authorityInfoAccess: undefined }),
    aside: ['ca.authority-info-access.missing', 'ca.crl-distribution-points.missing'],
    refuses: both(nowhere, noRevAvail(nullValue())),
    also: ['ca.authority-info-access.missing', 'ca.crl-distribution-points.missing'],
  },
  {
    rule: 'ocsp-no-check.malformed',
    kind: 'ocsp-responder',
    // The trap: an extnValue that holds nothing in place of NULL.
    refuses: extend({ noCheck: sequence(oid(OCSP_NO_CHECK), octetString(new Uint8Array(0))) }),
    also: ['der.length'],
  },
  {
    rule: 'ocsp-no-check.misplaced',
    kind: 'idevid',
    refuses: extend({ noCheck: x509.extension(OCSP_NO_CHECK, false, nullValue()) }),
  },
  {
    rule: 'ocsp-responder.no-check.missing',
    kind: 'ocsp-responder',
    refuses: extend({ noCheck: undefined }),
  },
  {
    rule: 'ocsp-responder.status-source',
    kind: 'ocsp-responder',
    refuses: extend({ crlDistributionPoints: x509.crlDistributionPoints(CRL_URL) }),
  },
  {
    rule: 'masa-url.malformed',
    kind: 'idevid',
    accepts: masa(ia5('masa.example.com')),
    refuses: masa(utf8String('masa.example.com')),
  },
  { rule: 'masa-url.malformed', kind: 'idevid', refuses: masa(ia5('')) },
  {
    rule: 'masa-url.scheme',
    kind: 'idevid',
    accepts: masa(ia5('https://masa.example.com/brski')),
    refuses: masa(ia5('http://masa.example.com/brski')),
  },
];
