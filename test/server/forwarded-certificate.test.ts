import { describe, expect, test } from 'vitest';
import { type ForwardedDialect, parseForwarded } from '../../src/server/forwarded-certificate.ts';
import { toPem } from '../../src/x509/pem.ts';
import { codeOf } from '../x509/code-of.ts';
import { sampleCertificate, sampleKey } from '../x509/samples.ts';

const ca = sampleKey('P-256');
const leaf = sampleCertificate('ldevid', sampleKey('P-256'), ca);
const issuer = sampleCertificate('ca', ca, ca);
const binary = (der: Uint8Array) => `:${Buffer.from(der).toString('base64')}:`;
const escaped = (...ders: readonly Uint8Array[]) =>
  encodeURIComponent(ders.map((der) => toPem('CERTIFICATE', der)).join(''));

const RFC9440: ForwardedDialect = { kind: 'rfc9440' };
const XFCC: ForwardedDialect = { kind: 'xfcc' };
const NGINX: ForwardedDialect = { kind: 'nginx', header: 'X-SSL-Client-Cert' };
const xfcc = (value: string) => ({ 'x-forwarded-client-cert': value });
const nginx = (value: string) => ({ 'x-ssl-client-cert': value });
const both = { 'client-cert': binary(leaf), 'client-cert-chain': `${binary(issuer)}, ${binary(leaf)}` };
const HASH = 'ab'.repeat(32);

describe('reads', () => {
  test.each<[string, ForwardedDialect, Record<string, string>, readonly Uint8Array[]]>([
    ['Client-Cert', RFC9440, { 'client-cert': binary(leaf) }, []],
    ['Client-Cert with its chain', RFC9440, both, [issuer, leaf]],
    [
      "Envoy's Cert",
      XFCC,
      xfcc(
        `By=spiffe://a/b;Hash=${HASH};Cert="${escaped(leaf)}";Subject="CN=\\"d\\",O=a;b";URI=;DNS=a;DNS=b`,
      ),
      [],
    ],
    [
      "Envoy's Cert with its Chain",
      XFCC,
      xfcc(`Cert="${escaped(leaf)}";Chain="${escaped(leaf, issuer)}"`),
      [issuer],
    ],
    [
      "Envoy's Chain alone, keys in any case",
      XFCC,
      xfcc(`hash=${HASH}; CHAIN="${escaped(leaf, issuer)}"`),
      [issuer],
    ],
    ["nginx's header", NGINX, nginx(escaped(leaf)), []],
    ['a plus sign that is not escaped', NGINX, nginx(escaped(leaf).replaceAll('%2B', '+')), []],
  ])('%s', (_what, dialect, headers, chain) => {
    expect(parseForwarded(dialect, headers)).toEqual({ leaf, chain });
  });

  test.each([RFC9440, XFCC, NGINX])('nothing where there is no header, or an empty one: %o', (dialect) => {
    expect(parseForwarded(dialect, {})).toBeUndefined();
    const empty = { 'client-cert': '', 'x-forwarded-client-cert': ' ', 'x-ssl-client-cert': '' };
    expect(parseForwarded(dialect, empty)).toBeUndefined();
  });

  test.each([
    [RFC9440, { ...xfcc(`Cert="${escaped(leaf)}"`), ...nginx(escaped(leaf)) }],
    [XFCC, { ...both, ...nginx(escaped(leaf)) }],
    [NGINX, { ...both, ...xfcc(`Cert="${escaped(leaf)}"`) }],
  ])("nothing from another dialect's headers: %o", (dialect, headers) => {
    expect(parseForwarded(dialect, headers)).toBeUndefined();
  });
});

describe('refuses', () => {
  const base64 = leaf.toString('base64');
  test.each<[string, ForwardedDialect, Record<string, string | string[]>]>([
    ['a chain without its leaf', RFC9440, { 'client-cert-chain': binary(issuer) }],
    ['base64 without colons', RFC9440, { 'client-cert': base64 }],
    ['a header that is there twice', RFC9440, { 'client-cert': `${binary(leaf)}, ${binary(issuer)}` }],
    ['a header that is a list of strings', RFC9440, { 'client-cert': [binary(leaf)] }],
    ['parameters', RFC9440, { 'client-cert': `${binary(leaf)};a=1` }],
    ['an empty sequence', RFC9440, { 'client-cert': '::' }],
    ['base64url', RFC9440, { 'client-cert': ':__79:' }],
    ['padding bits that are not zero', RFC9440, { 'client-cert': ':TR==:' }],
    [
      'an empty member of the chain',
      RFC9440,
      { 'client-cert': binary(leaf), 'client-cert-chain': `${binary(issuer)},` },
    ],
    [
      'nine certificates',
      RFC9440,
      { 'client-cert': binary(leaf), 'client-cert-chain': new Array(9).fill(binary(issuer)).join(', ') },
    ],
    ['a header larger than any', RFC9440, { 'client-cert': `:${'A'.repeat(64 * 1024)}:` }],
    [
      "two elements, the first of which may be the client's own",
      XFCC,
      xfcc(`Cert="${escaped(issuer)}",Cert="${escaped(leaf)}"`),
    ],
    ['a hash alone', XFCC, xfcc(`Hash=${HASH}`)],
    ['a Cert twice', XFCC, xfcc(`Cert="${escaped(issuer)}";Cert="${escaped(leaf)}"`)],
    ['a Chain of another leaf', XFCC, xfcc(`Cert="${escaped(leaf)}";Chain="${escaped(issuer, leaf)}"`)],
    ['two certificates in Cert', XFCC, xfcc(`Cert="${escaped(leaf, issuer)}"`)],
    ['a key that Envoy has not', XFCC, xfcc(`Cert="${escaped(leaf)}";Trust=yes`)],
    ['a quote that does not end', XFCC, xfcc(`Cert="${escaped(leaf)}`)],
    ['something behind a quote', XFCC, xfcc(`Cert="${escaped(leaf)}"x`)],
    ['a semicolon at its end', XFCC, xfcc(`Cert="${escaped(leaf)}";`)],
    ['no PEM', NGINX, nginx(base64)],
    ['PEM that is not escaped', NGINX, nginx(toPem('CERTIFICATE', leaf).replaceAll('\n', ' '))],
    ['a cut-off escape', NGINX, nginx(`${escaped(leaf)}%0`)],
    ['an escape that is no hexadecimal', NGINX, nginx(escaped(leaf).replace('%0A', '%0G'))],
    ['two certificates', NGINX, nginx(escaped(leaf, issuer))],
    ['text around the certificate', NGINX, nginx(`a%0A${escaped(leaf)}`)],
    ['PEM of something else', NGINX, nginx(encodeURIComponent(toPem('X509 CRL', leaf)))],
    [
      'PEM without its padding',
      NGINX,
      nginx(encodeURIComponent('-----BEGIN CERTIFICATE-----\nTQ\n-----END CERTIFICATE-----\n')),
    ],
  ])('%s', (_what, dialect, headers) => {
    expect(codeOf(() => parseForwarded(dialect, headers as Record<string, string>))).toBe('bad-request');
  });
});
