import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { BirthmarkError } from '../../core/errors.ts';
import type { Revoker } from '../../fleet/revoker.ts';
import { verifyPossession } from '../../x509/csr.ts';
import { ATTRIBUTE_OIDS, type ReadAttribute } from '../../x509/name.ts';
import { hashKey } from '../../x509/public-key.ts';
import { type Challenge, createChallenges } from '../challenge.ts';
import { type KeyLimits, readCsr } from '../examine.ts';
import type { Ledger } from '../ports.ts';

/** The common name that shows the same without a challenge: nobody signs it with a key for anything else. */
export const PROOF_SUBJECT = 'Proof of Key Compromise';

/** What came of a report, for counting. */
export type ReportOutcome = 'unknown' | 'revoked' | 'known-already' | 'incident' | 'refused';

/** All that a reporter is told. */
export interface ReportAnswer {
  /** Whether a certificate for the key was issued here. */
  readonly known: boolean;
  /** How many were revoked by this report. */
  readonly revoked: number;
}

/** Takes proofs that a key is out, from anybody who holds it. */
export interface CompromiseDesk {
  challenge(): Challenge;
  /**
   * @param der a CSR signed with the key
   * @param mayVerify awaited once it reads as a proof, before its signature is verified; throws where none may be now
   * @throws BirthmarkError as `readCsr`; `bad-csr` for another subject; `proof-of-possession-failed`
   */
  report(der: Uint8Array, mayVerify: () => Promise<void>): Promise<ReportAnswer>;
}

export interface CompromiseDeskOptions {
  readonly ledger: Ledger;
  readonly revoker: Revoker;
  readonly keyLimits: KeyLimits;
  /** Not guarded, as that of revocations. */
  readonly clock: Clock;
  /** For challenges; the same in every process. */
  readonly secret: Uint8Array;
  /** Whether devices' certificates are revoked at once, or people are told first. */
  readonly revokeAtOnce: boolean;
  readonly onReport: (outcome: ReportOutcome) => void;
}

/** Keys for which people were told already: whoever says it again and again must not bury the rest. */
const MOST_TOLD = 10_000;
const ACTOR = 'key-holder';

/**
 * A proof by the key itself is taken from anybody. It ends what a device may do with that key, and only that: nothing goes
 * along. Where the key is one of ours or of people's, it is for people to judge what must follow.
 */
export function createCompromiseDesk(options: CompromiseDeskOptions): CompromiseDesk {
  const { ledger, revoker, keyLimits, clock, secret, revokeAtOnce, onReport } = options;
  const challenges = createChallenges(secret, clock);
  const told = new Set<string>();

  const tellPeople = async (keyHash: string, subject: string, certificates: number) => {
    if (told.has(keyHash)) return;
    if (told.size >= MOST_TOLD) told.clear();
    told.add(keyHash);
    try {
      await ledger.write((tx) =>
        tx.appendIncidents([
          { at: clock(), kind: 'key-compromise-proven', subject, facts: { keyHash, certificates } },
        ]),
      );
    } catch (error) {
      told.delete(keyHash);
      throw error;
    }
  };
  const judge = async (keyHash: Uint8Array): Promise<{ answer: ReportAnswer; outcome: ReportOutcome }> => {
    const [key] = await ledger.read.findKeys([keyHash]);
    const certificates = key ? await ledger.read.findByKey(keyHash) : [];
    const unchanged = { known: true, revoked: 0 };
    if (key?.holder !== undefined) {
      await tellPeople(toHex(keyHash), key.holder, certificates.length);
      return { answer: unchanged, outcome: 'incident' };
    }
    const [newest] = certificates.slice(-1);
    if (!key || !newest) return { answer: { known: false, revoked: 0 }, outcome: 'unknown' };
    const revocations = await ledger.read.findRevocations(certificates.map(({ id }) => id));
    const isDone =
      key.blocked !== undefined && revocations.every((revocation) => revocation?.reason === 'keyCompromise');
    if (isDone) return { answer: unchanged, outcome: 'known-already' };
    if (!revokeAtOnce) {
      await tellPeople(toHex(keyHash), `device:${newest.holder}`, certificates.length);
      return { answer: unchanged, outcome: 'incident' };
    }
    const by = { kind: 'key', keyHash } as const;
    const { changed } = await revoker({ by, act: 'revoke', reason: 'keyCompromise', cascade: false }, ACTOR);
    return { answer: { known: true, revoked: changed }, outcome: 'revoked' };
  };

  return {
    challenge: challenges.issue,
    report: async (der, mayVerify) => {
      let keyHash: Uint8Array;
      try {
        const { csr, asked } = readCsr(der, keyLimits);
        refuseOtherSubject(asked, challenges.holds);
        await mayVerify();
        verifyPossession(csr);
        keyHash = hashKey(csr.spki);
      } catch (error) {
        onReport('refused');
        throw error;
      }
      const { answer, outcome } = await judge(keyHash);
      onReport(outcome);
      return answer;
    },
  };
}

/** A CSR that its owner made to enroll is no proof of anything: it is there for all to see. */
function refuseOtherSubject(
  subject: readonly ReadAttribute[],
  holds: (text: string) => boolean | undefined,
): void {
  const [only, ...more] = subject;
  if (only?.oid === ATTRIBUTE_OIDS.CN && more.length === 0) {
    if (only.value === PROOF_SUBJECT) return;
    const standing = holds(only.value ?? '');
    if (standing === true) return;
    if (standing === false)
      throw new BirthmarkError('bad-csr', 'the challenge has expired; fetch another one, and sign that', {
        field: 'csr',
      });
  }
  throw new BirthmarkError(
    'bad-csr',
    `the CSR's subject must be CN=${PROOF_SUBJECT}, or CN= and a challenge of this address, and nothing else`,
    { field: 'csr' },
  );
}
