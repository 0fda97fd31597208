import { constants } from 'node:crypto';
import type { TlsOptions } from 'node:tls';

/** ECDHE and an AEAD, nothing else: RFC 9325 §4.2, RFC 10015 for the key exchange of TLS 1.2. Ours goes before theirs. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  // For a user's own RSA certificate.
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-CHACHA20-POLY1305',
];

/**
 * How every TLS listener of ours speaks, its key and certificate apart. Client certificates are asked for and never
 * demanded: each door judges them itself. No list of authorities goes with the question, since a long one is more than
 * constrained clients read (RFC 8446 §4.2.4 leaves it out, RFC 5246 §7.4.4 lets it be empty).
 */
export const TLS_POLICY = {
  requestCert: true,
  rejectUnauthorized: false,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: CIPHERS.join(':'),
  ecdhCurve: 'X25519:P-256:P-384',
  honorCipherOrder: true,
  // A second handshake on a connection could change who speaks; TLS 1.3 has none (RFC 9325 §3.5).
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
} as const satisfies TlsOptions;
