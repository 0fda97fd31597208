import { isIP } from 'node:net';
import { BirthmarkError } from '../../core/errors.ts';
import { isBounded, type ShownCertificates } from '../../core/shown-certificates.ts';
import { readCertificate } from '../../x509/certificate.ts';
import { openTrust } from '../../x509/path/trust.ts';
import { validatePath } from '../../x509/path/validate-path.ts';
import { hostAndPort, type Place } from './place.ts';

/** What a server is held to. */
export interface ServerRules {
  /** Roots, DER. */
  readonly anchors: readonly Uint8Array[];
  /** Milliseconds since the epoch at which its certificates must be valid. */
  readonly at: number;
}

export interface JudgedServer {
  /** DER, its own certificate first. */
  readonly chain: readonly Uint8Array[];
  /** Milliseconds since the epoch: the end of its path. */
  readonly goodUntil: number;
}

/**
 * Holds the other side of a connection to what it should be.
 *
 * @throws BirthmarkError `server-untrusted`
 */
export function judgeServer(
  shown: ShownCertificates | undefined,
  place: Place,
  { anchors, at }: ServerRules,
): JudgedServer {
  if (!shown || !isBounded(shown)) throw untrusted(place, 'it shows no certificate, or far too many');
  const chain = [shown.leaf, ...shown.chain];
  const judge = (time: number) =>
    validatePath(shown.leaf, {
      trust: openTrust({ anchors }),
      untrusted: shown.chain,
      at: time,
      purpose: 'serverAuth',
      peer: { kind: isIP(place.host) === 0 ? 'dns' : 'ip', value: place.host },
      possessionProven: true,
    });
  let verdict = judge(at);
  // What a CA of ours signed has begun: where it has not by our clock, that is behind. What has ended has ended.
  if (verdict.reason === 'notYetValid')
    verdict = judge(Math.max(at, ...[...chain, ...anchors].map(beginning)));
  if (verdict.reason === 'ok') return { chain, goodUntil: verdict.lookAgainAt };
  const clock =
    verdict.reason === 'expired' || verdict.reason === 'notYetValid'
      ? `; it was judged for ${new Date(at).toISOString()}: is this machine's clock right?`
      : '';
  throw untrusted(place, `${verdict.detail}${clock}`);
}

/** `notBefore`, milliseconds since the epoch; of what cannot be read, long ago. */
function beginning(der: Uint8Array): number {
  try {
    return readCertificate(der).tbs.notBefore.at;
  } catch (error) {
    if (error instanceof BirthmarkError) return 0;
    throw error;
  }
}

function untrusted(place: Place, why: string): BirthmarkError {
  return new BirthmarkError(
    'server-untrusted',
    `${hostAndPort(place)} is not the server that our roots vouch for: ${why}`,
  );
}
