import { BirthmarkError } from '../core/errors.ts';
import { readCertificate } from '../x509/certificate.ts';
import { fraction } from './backoff.ts';
import { isAhead, type Pace } from './pace.ts';
import type { AgentParts } from './parts.ts';
import { planRenewal } from './plan-renewal.ts';
import type { Slot } from './state/state-folder.ts';

const HOUR_MS = 3_600_000;
const ASK_EACH_MS = 6 * HOUR_MS;
const MINUTE_MS = 60_000;
/** So much longer at most, so that devices that looked together do not look together for ever. */
const SPREAD = 0.2;
/**
 * A credential that just came is not renewed for a minute where the server tells a window, which may be over, and for an hour
 * where it does not; for one that is short-lived, not before a twentieth of its validity is over.
 */
const SHARE_OF_VALIDITY = 0.05;

export interface Due {
  /** Milliseconds since the epoch; infinite where it is never. */
  readonly renewAt: number;
  /** When the window is to be asked for again. */
  readonly windowAt: number;
  readonly pace: Pace;
}

/**
 * When the current credential is to be renewed: by the server's window (RFC 9773 §4), asked for when its time has come; by the
 * last one that it told while it does not answer; by our own where it tells none. That it moved is heard at the next look, which is
 * when the server says (Retry-After), or earlier where the settings say so.
 */
export async function findDue(
  { authority, time, random, lookEveryMs = Number.POSITIVE_INFINITY }: AgentParts,
  current: Slot,
  chain: readonly [Uint8Array, ...Uint8Array[]],
  pace: Pace,
): Promise<Due> {
  const now = time.now();
  const spread = (wait: number) => now + Math.round(wait * (1 + SPREAD * fraction(random(4))));
  let { window, windowAt } = pace;
  if (window?.of !== current.name) {
    window = undefined;
    windowAt = undefined;
  }
  if (!isAhead(windowAt, now)) {
    try {
      const info = await authority.renewalInfo(chain[0]);
      window = info && { of: current.name, ...info.window };
      windowAt = spread(Math.max(Math.min(info?.retryAfterMs ?? ASK_EACH_MS, lookEveryMs), MINUTE_MS));
    } catch (error) {
      if (!(error instanceof BirthmarkError)) throw error;
      windowAt = spread(Math.min(HOUR_MS, lookEveryMs));
    }
  }
  const { notBefore, notAfter } = readCertificate(chain[0]).tbs;
  const planned = planRenewal(chain[0], window);
  const least = Math.min((notAfter.at - notBefore.at) * SHARE_OF_VALIDITY, window ? MINUTE_MS : HOUR_MS);
  const justRenewed = isAhead((pace.renewedAt ?? 0) + least, now);
  const renewAt = justRenewed ? Math.max(planned, (pace.renewedAt ?? 0) + least) : planned;
  const { window: _before, ...rest } = pace;
  const asked = windowAt ?? now + ASK_EACH_MS;
  return { renewAt, windowAt: asked, pace: { ...rest, windowAt: asked, ...(window && { window }) } };
}
