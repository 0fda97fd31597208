import { finish } from '../../ca/rollover/prepare-generation.ts';
import { writePublicFiles } from '../public-files.ts';
import type { House } from '../wire.ts';

/** Who rotates publishes at once: what is not after so long was cut short. */
const CUT_SHORT_MS = 10_000;

/**
 * Puts the certificates of all authorities where other programs find them, and finishes the publication of a generation whose
 * rotation a crash cut short. What fails here must not keep the house from serving.
 */
export async function publishAuthorities(
  { home, roster, rollover, wallClock, logger }: House,
  afterMs = CUT_SHORT_MS,
): Promise<void> {
  try {
    writePublicFiles(home, roster.records, roster.crossCertificates);
    for (const record of roster.records)
      if (
        record.state === 'prepared' &&
        record.publishedAt === undefined &&
        wallClock() >= record.createdAt + afterMs
      ) {
        await finish(rollover, record);
        logger.warn({ authority: record.name }, 'published an authority whose rotation was cut short');
      }
  } catch (error) {
    logger.error({ err: error }, 'certificates of authorities could not be published; it is tried again');
  }
}
