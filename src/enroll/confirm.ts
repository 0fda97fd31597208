import type { CertificateRecord } from '../ca/ports.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
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
   * @param serial which certificate is meant; needed where several that stand have the key
   * @throws BirthmarkError as `readCsr`; `bad-csr` for another subject, `proof-of-possession-failed`, `not-found`,
   *   `bad-request` where it is not clear which is meant, `certificate-held`, `certificate-revoked`
   */
  confirm(der: Uint8Array, mayVerify: () => Promise<void>, serial?: Uint8Array): Promise<Confirmed>;
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
    async confirm(der, mayVerify, serial) {
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
      const now = clock();
      const certificate = await findMeant(hashKey(csr.spki), serial, now);
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

  /**
   * A key may have several, one after the other. Of two that stand it does not tell which one its holder has: he may have asked for the
   * newer one and never got it. One that has ended speaks for nobody, in no way.
   */
  async function findMeant(
    keyHash: Uint8Array,
    serial: Uint8Array | undefined,
    now: number,
  ): Promise<CertificateRecord> {
    const found = (await ledger.read.findByKey(keyHash)).filter(
      ({ signature, deviceId, profile, notAfter, ...one }) =>
        signature &&
        deviceId !== null &&
        !idevidProfiles.has(profile) &&
        notAfter > now &&
        (!serial || equalBytes(serial, one.serial)),
    );
    const revocations = await ledger.read.findRevocations(found.map(({ id }) => id));
    const standing = found.filter((_, at) => revocations[at] === undefined);
    if (standing.length > 1)
      throw new BirthmarkError(
        'bad-request',
        `${standing.length} certificates that stand have this key; say by its serial number which one is in use`,
        { field: 'serial' },
      );
    const meant = standing[0] ?? found.at(-1);
    if (meant) return meant;
    throw new BirthmarkError('not-found', 'no LDevID here that has not ended is for this key', {
      field: 'csr',
    });
  }
}
