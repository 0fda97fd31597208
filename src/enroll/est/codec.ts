import { toBase64 } from '../../core/bytes.ts';
import { encodeCertsOnly } from '../../x509/certs-only.ts';

/** An answer as it goes out. The body has only ASCII unless its Content-Type says otherwise. */
export interface EstAnswer {
  readonly status: number;
  /** Names in lower case. Content-Length is for the server, and must be there: some clients cannot read chunks. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * How base64 goes out. Senders need not wrap (RFC 8951 §3) and some clients cannot read it, while others read nothing else.
 */
export interface Base64Form {
  readonly wrap: boolean;
}

const COLUMNS = 64;
const CERTS_ONLY = 'application/pkcs7-mime; smime-type=certs-only';
/** Nobody may look at it (RFC 8951 §3), and some still do. */
const TRANSFER_ENCODING = 'base64';
/** With a character that base64 has not, so it cannot occur in a part (RFC 2046 §5.1.1). */
const BOUNDARY = 'birthmark_est';

/**
 * 200 with certificates: those of the authorities for cacerts, the one that was issued for simpleenroll and simplereenroll
 * (RFC 7030 §4.1.3, §4.2.3).
 *
 * @param certificates DER
 */
export function certificatesAnswer(certificates: readonly Uint8Array[], form: Base64Form): EstAnswer {
  return base64Answer(CERTS_ONLY, encodeCertsOnly(certificates), form);
}

/** 200 with CsrAttrs, DER, also where nothing is asked for, which is the same as 204 (RFC 7030 §4.5.2). */
export function csrAttributesAnswer(csrAttributes: Uint8Array, form: Base64Form): EstAnswer {
  return base64Answer('application/csrattrs', csrAttributes, form);
}

/**
 * 200 with a key that the server made and the certificate for it (RFC 7030 §4.4.2).
 *
 * @param privateKey PKCS#8, DER, not encrypted; who was asked for more must not come here, see `asksForKeyEncryption`
 * @param certificate DER
 */
export function keyAnswer(privateKey: Uint8Array, certificate: Uint8Array, form: Base64Form): EstAnswer {
  const parts = [
    part('application/pkcs8', privateKey, form),
    part(CERTS_ONLY, encodeCertsOnly([certificate]), form),
  ];
  return {
    status: 200,
    headers: {
      'content-type': `multipart/mixed; boundary=${BOUNDARY}`,
      // It holds a private key: nothing on its way may keep it.
      'cache-control': 'no-store',
    },
    body: `${parts.map((one) => `--${BOUNDARY}\r\n${one}\r\n`).join('')}--${BOUNDARY}--\r\n`,
  };
}

function base64Answer(contentType: string, der: Uint8Array, form: Base64Form): EstAnswer {
  return {
    status: 200,
    headers: { 'content-type': contentType, 'content-transfer-encoding': TRANSFER_ENCODING },
    body: `${base64Lines(der, form).join('\n')}\n`,
  };
}

function part(contentType: string, der: Uint8Array, form: Base64Form): string {
  const headers = [`Content-Type: ${contentType}`, `Content-Transfer-Encoding: ${TRANSFER_ENCODING}`];
  return [...headers, '', ...base64Lines(der, form)].join('\r\n');
}

function base64Lines(der: Uint8Array, { wrap }: Base64Form): readonly string[] {
  const base64 = toBase64(der);
  if (!wrap) return [base64];
  const lines: string[] = [];
  for (let at = 0; at < base64.length; at += COLUMNS) lines.push(base64.slice(at, at + COLUMNS));
  return lines;
}
