import type { IncomingHttpHeaders } from 'node:http';
import { equalBytes, parseBase64 } from '../core/bytes.ts';
import { BirthmarkError } from '../core/errors.ts';
import { parsePemBlocks } from '../x509/pem.ts';
import { parseXfcc } from './xfcc.ts';

/** How a proxy hands on the certificate of its client. nginx has no name of its own for the header: it is configured. */
export type ForwardedDialect =
  | { readonly kind: 'rfc9440' }
  | { readonly kind: 'xfcc' }
  | { readonly kind: 'nginx'; readonly header: string };

/** What a proxy says its client showed: DER, of which nothing is believed yet. */
export interface ForwardedCertificate {
  readonly leaf: Uint8Array;
  /** What the client sent beside it, in its order, without the leaf. */
  readonly chain: readonly Uint8Array[];
}

/** Bounds what is decoded before anything is judged. Far above what TLS libraries let a client send. */
const MAX_HEADER = 64 * 1024;
const MAX_CHAIN = 8;

/**
 * Reads the client certificate from a proxy's headers. Whether the proxy may say so, and whether the certificate is good, is
 * for the caller: this only reads. Anything that the dialect does not have is refused, since a header that reads two ways is
 * how one client speaks as another.
 *
 * @returns undefined where the proxy's client showed none
 * @throws BirthmarkError `bad-request`
 */
export function parseForwarded(
  dialect: ForwardedDialect,
  headers: IncomingHttpHeaders,
): ForwardedCertificate | undefined {
  switch (dialect.kind) {
    case 'rfc9440':
      return readRfc9440(headers);
    case 'xfcc':
      return readXfcc(headers);
    case 'nginx':
      return readNginx(headers, dialect.header.toLowerCase());
  }
}

/** RFC 9440 §2: Byte Sequences of structured fields (RFC 9651 §3.3.5), without parameters, which it has none of. */
function readRfc9440(headers: IncomingHttpHeaders): ForwardedCertificate | undefined {
  const item = oneValue(headers, 'client-cert');
  const list = oneValue(headers, 'client-cert-chain');
  if (item === undefined) {
    if (list === undefined) return undefined;
    throw refuse('client-cert-chain', 'is there without client-cert (RFC 9440 §2.3)');
  }
  const leaf = readByteSequence(item, 'client-cert');
  const members = list === undefined ? [] : list.split(/[ \t]*,[ \t]*/);
  return { leaf, chain: bounded(members, 'client-cert-chain').map(readChainMember) };
}

function readChainMember(member: string): Uint8Array {
  return readByteSequence(member, 'client-cert-chain');
}

function readByteSequence(text: string, header: string): Uint8Array {
  const base64 = /^:([A-Za-z0-9+/=]+):$/.exec(text)?.[1];
  if (base64 === undefined)
    throw refuse(header, 'is not base64 between colons (RFC 9440 §2.1, RFC 9651 §3.3.5)');
  return decode(header, () => parseBase64(base64, header));
}

/** Envoy's `Cert` and `Chain`: PEM in URL encoding. Its chain begins with the leaf. */
function readXfcc(headers: IncomingHttpHeaders): ForwardedCertificate | undefined {
  const header = 'x-forwarded-client-cert';
  const value = oneValue(headers, header);
  if (value === undefined) return undefined;
  const { cert, chain } = parseXfcc(value);
  const leaves = cert === undefined ? [] : readEscapedPem(cert, header);
  const [first, ...rest] = chain === undefined ? [] : readEscapedPem(chain, header);
  const leaf = leaves[0] ?? first;
  if (leaf === undefined || leaves.length > 1 || (first !== undefined && !equalBytes(first, leaf)))
    throw refuse(header, 'has no Cert, or one that is not the first of its Chain');
  return { leaf, chain: bounded(rest, header) };
}

/** nginx's `$ssl_client_escaped_cert`: PEM of the leaf in URL encoding. */
function readNginx(headers: IncomingHttpHeaders, header: string): ForwardedCertificate | undefined {
  const value = oneValue(headers, header);
  if (value === undefined) return undefined;
  const [leaf, ...more] = readEscapedPem(value, header);
  if (leaf === undefined || more.length > 0) throw refuse(header, 'does not hold one certificate');
  return { leaf, chain: [] };
}

/** The certificates of PEM in URL encoding, with nothing around them. A plus sign stands for itself. */
function readEscapedPem(escaped: string, header: string): readonly Uint8Array[] {
  if (/[^!-~]|%(?![0-9A-Fa-f]{2})/.test(escaped))
    throw refuse(header, 'is not in URL encoding (RFC 3986 §2.1)');
  const text = escaped.replace(/%(..)/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  if (!/^(?:-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----\s*)+$/.test(text))
    throw refuse(header, 'does not hold certificates in PEM, and only those');
  return bounded(
    decode(header, () => parsePemBlocks(text, ['CERTIFICATE'], header)),
    header,
  );
}

/** The value of a header; undefined where it is not there or empty, which is how some proxies say that there is none. */
function oneValue(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (typeof value === 'object') throw refuse(name, 'is there more than once');
  const text = value?.trim() ?? '';
  if (text.length > MAX_HEADER) throw refuse(name, `has more than ${MAX_HEADER} characters`);
  return text === '' ? undefined : text;
}

function bounded<T>(members: readonly T[], header: string): readonly T[] {
  if (members.length > MAX_CHAIN) throw refuse(header, `holds more than ${MAX_CHAIN} certificates`);
  return members;
}

function decode<T>(header: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BirthmarkError) throw refuse(header, 'holds base64 that is not that of RFC 4648 §4');
    throw error;
  }
}

function refuse(header: string, why: string): BirthmarkError {
  return new BirthmarkError('bad-request', `the proxy's header ${header} ${why}`, { field: header });
}
