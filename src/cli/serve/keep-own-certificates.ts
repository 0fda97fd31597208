import type { House } from '../wire.ts';
import { prepareOcspSigners, prepareTlsCertificate } from './house-options.ts';
import { publishAuthorities } from './publish-authorities.ts';

/** How long the listener and the OCSP signers may go on with a certificate that was taken back. */
const LOOK_EVERY_MS = 1000;
/** What failed is not tried again at every look. */
const REST_LOOKS = 60;

/**
 * Replaces certificates of our own as soon as they are revoked or held, or another authority issues, where upkeep would come
 * by in an hour. Processes that use them look at the files. For one process of the house only.
 *
 * @returns stops it
 */
export function keepOwnCertificates(house: House): () => void {
  const { ledger, logger, authorities } = house;
  let seen: number | undefined;
  let revision: number | undefined;
  let isLooking = false;
  let rest = 0;
  const look = async () => {
    const last = await ledger.read.lastStatusChange();
    const now = authorities.revision;
    if (seen === last && revision === now) return;
    if (revision !== now) await publishAuthorities(house);
    await prepareTlsCertificate(house);
    await prepareOcspSigners(house);
    seen = last;
    revision = now;
  };
  const timer = setInterval(() => {
    rest -= 1;
    if (isLooking || rest > 0) return;
    isLooking = true;
    look()
      .catch((error: unknown) => {
        rest = REST_LOOKS;
        logger.error({ err: error }, 'a certificate of our own could not be replaced; it is tried again');
      })
      .finally(() => {
        isLooking = false;
      });
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}
