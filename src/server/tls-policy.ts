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
 * How the TLS listener speaks, its key and certificate apart. Client certificates are asked for and never demanded: each
 * door judges them itself. No list of authorities goes with the question, since a long one is more than constrained
 * clients read (RFC 8446 §4.2.4 leaves it out, RFC 5246 §7.4.4 lets it be empty).
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

/** What RFC 7925 has devices speak that have room for nothing else; those that can do better get better. */
const CONSTRAINED_CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_128_CCM_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES128-CCM',
  'ECDHE-ECDSA-AES128-CCM8',
  // To OpenSSL a tag of eight octets is less than any level allows. What else the level forbids, SIGNATURES forbids.
  '@SECLEVEL=0',
];

/** No SHA-1 (RFC 9155). */
const SIGNATURES = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ed25519',
  'rsa_pss_rsae_sha256',
  'rsa_pkcs1_sha256',
];

/** How the listener for constrained devices speaks (RFC 7925). Its certificate must have a key on P-256. */
export const CONSTRAINED_POLICY = {
  ...TLS_POLICY,
  ciphers: CONSTRAINED_CIPHERS.join(':'),
  ecdhCurve: 'P-256',
  sigalgs: SIGNATURES.join(':'),
} as const satisfies TlsOptions;

/** Octets of a record that the listener for constrained devices sends once the handshake is done; the least there is. */
export const CONSTRAINED_RECORD = 512;
