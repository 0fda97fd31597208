import type { CertificateRecord } from '../ca/ports.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { BirthmarkError } from '../core/errors.ts';
import type { UseNoter } from '../fleet/rotation/note-use.ts';
import { verifyPossession } from '../x509/csr.ts';
import { ATTRIBUTE_OIDS } from '../x509/name.ts';
import { hashKey } from '../x509/public-key.ts';
import type { Challenge, Challenges } from './challenge.ts';
import { type KeyLimits, readCsr } from './examine.ts';
import type { Ledger } from './ports.ts';
import { refuseTakenBack } from './refuse-taken-back.ts';

/** What was confirmed. */
export interface Confirmed {
  /** Of the certificate, hexadecimal. */
  readonly serial: string;
  /** Whether that was the first use of it. */
  readonly first: boolean;
}

/** Takes a device's word that it has its new certificate in use, where it cannot show it in a handshake. */
export interface ConfirmationDesk {
  challenge(): Challenge;
  /**
   * @param der a CSR signed with the certificate's key, whose subject is CN= and a challenge
   * @param mayVerify awaited before the signature is verified; throws where none may be now
   * @throws BirthmarkError as `readCsr`; `bad-csr` for another subject, `proof-of-possession-failed`, `not-found`,
   *   `certificate-held`, `certificate-revoked`
   */
  confirm(der: Uint8Array, mayVerify: () => Promise<void>): Promise<Confirmed>;
}

export interface ConfirmationOptions {
  readonly ledger: Ledger;
  readonly uses: UseNoter;
  readonly idevidProfiles: ReadonlySet<string>;
  readonly keyLimits: KeyLimits;
  /** Fresh, so that a confirmation that somebody overheard is no use of the key by him. */
  readonly challenges: Challenges;
  readonly clock: Clock;
}

const PLACE = 'confirmation';

export function createConfirmationDesk(options: ConfirmationOptions): ConfirmationDesk {
  const { ledger, uses, idevidProfiles, keyLimits, challenges, clock } = options;
  return {
    challenge: challenges.issue,
    async confirm(der, mayVerify) {
      const { csr, asked } = readCsr(der, keyLimits);
      const [only, ...more] = asked;
      if (more.length > 0 || only?.oid !== ATTRIBUTE_OIDS.CN || challenges.holds(only.value ?? '') !== true)
        throw new BirthmarkError(
          'bad-csr',
          "the CSR's subject must be CN= and a challenge of this address that has not expired, and nothing else",
          { field: 'csr' },
        );
      await mayVerify();
      verifyPossession(csr);
      const certificate = newest(await ledger.read.findByKey(hashKey(csr.spki)), idevidProfiles);
      const now = clock();
      const { id: certificateId, deviceId } = certificate;
      const use = [{ certificateId, at: now, ...(deviceId !== null && { deviceId }) }];
      const [revocation] = await ledger.read.findRevocations([certificate.id]);
      const told = revocation ? use.map((one) => ({ ...one, refused: true })) : use;
      const by = { actor: `device:${certificate.holder}`, place: PLACE, now };
      const news = (await uses.isNews(ledger.read, told, now))
        ? await ledger.write((tx) => uses.note(tx, told, by))
        : undefined;
      const first = news !== undefined && news.used.length + news.firstSights.length > 0;
      await refuseTakenBack(ledger.read, certificate.id);
      return { serial: toHex(certificate.serial), first };
    },
  };
}

/** A key may have several, one after the other. */
function newest(
  certificates: readonly CertificateRecord[],
  idevidProfiles: ReadonlySet<string>,
): CertificateRecord {
  const found = certificates.findLast(
    ({ signature, deviceId, profile }) => signature && deviceId !== null && !idevidProfiles.has(profile),
  );
  if (found) return found;
  throw new BirthmarkError('not-found', 'no LDevID here is for this key', { field: 'csr' });
}
