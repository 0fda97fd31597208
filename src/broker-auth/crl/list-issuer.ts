import { toHex } from '../../core/bytes.ts';
import { BirthmarkError } from '../../core/errors.ts';
import { KEY_USAGE } from '../../x509/extensions.ts';
import { PathCertificate } from '../../x509/path/path-certificate.ts';
import { keyIdentifier } from '../../x509/public-key.ts';

/** A CA whose lists are taken. */
export interface ListIssuer {
  readonly certificate: PathCertificate;
  readonly keyId: Uint8Array;
  /** Hexadecimal, as `CredentialId` has it. */
  readonly keyIdText: string;
}

/**
 * Reads the certificate of a CA whose lists are to be believed.
 *
 * @throws BirthmarkError `bad-der`, `bad-certificate`; `config-invalid` where it may sign no lists (RFC 10007: keyUsage with
 * cRLSign must be there)
 */
export function readListIssuer(der: Uint8Array): ListIssuer {
  const issuer = readIssuer(der);
  const { rules, title } = issuer.certificate;
  if (rules instanceof BirthmarkError || !rules.ca || !rules.keyUsage?.includes(KEY_USAGE.cRLSign))
    throw new BirthmarkError('config-invalid', `${title} may not sign lists: it is no CA with cRLSign`);
  return issuer;
}

/**
 * The same for one for whose certificates a responder answers.
 *
 * @throws BirthmarkError `bad-der`, `bad-certificate`
 */
export function readIssuer(der: Uint8Array): ListIssuer {
  const certificate = new PathCertificate(Uint8Array.from(der));
  const { rules, tbs } = certificate;
  if (rules instanceof BirthmarkError) throw rules;
  const keyId = keyIdentifier(tbs.spki);
  return { certificate, keyId, keyIdText: toHex(keyId) };
}
