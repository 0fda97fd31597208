import { hash } from 'node:crypto';
import { BirthmarkError } from '../../core/errors.ts';
import { type OcspResponse, readOcspResponse } from '../../x509/ocsp-response-reader.ts';
import type { Credential, CredentialId } from '../credential.ts';
import type { EvidenceClock } from '../crl/date-evidence.ts';
import type { StatusSource } from '../status-source.ts';
import { type AnswerStore, answerStatus } from './answer-store.ts';
import type { FollowedAnswers } from './follow-answers.ts';
import { verifyAnswer } from './verify-answer.ts';

export interface AnswerSourceOptions extends EvidenceClock {
  readonly store: AnswerStore;
  /** Who asks ahead; absent where only stapled answers are taken. */
  readonly followed?: () => FollowedAnswers | undefined;
  /** Beside this one: who is known to have been taken back signs no answer. */
  readonly sources: readonly StatusSource[];
}

/** Takes answers that came with a client. */
export interface StapledAnswers {
  /**
   * Verifies what came along and keeps what holds. Nobody is asked.
   *
   * @param stapled DER of an OCSPResponse each
   * @returns why the first that was not taken was not, for people
   */
  offer(credential: Credential, stapled: readonly Uint8Array[]): string | undefined;
}

/** More than a path has certificates. */
const MOST_STAPLED = 8;
const MOST_OCTETS = 64 * 1024;

/** What OCSP answers say, as a source of the gate's: those that were asked for ahead, and those that came along. */
export function answerSource({
  store,
  followed,
  sources,
  clock,
  steady,
}: AnswerSourceOptions): StatusSource & StapledAnswers {
  /** A client staples the same answer for as long as it holds. */
  const taken = new WeakMap<CredentialId, string>();

  function take(credential: Credential, der: Uint8Array): string | undefined {
    if (der.length > MOST_OCTETS) return `a stapled answer has more than ${MOST_OCTETS} octets`;
    let response: OcspResponse;
    try {
      response = readOcspResponse(der);
    } catch (error) {
      if (error instanceof BirthmarkError) return error.message;
      throw error;
    }
    let why = 'a stapled answer is about none of the path';
    for (const [at, id] of credential.path.entries()) {
      const issuer = credential.issuers[at];
      if (!issuer || !isAbout(response, id)) continue;
      const found = verifyAnswer(response, {
        ...{ issuer, issuerKeyId: id.issuerKeyId, serial: Buffer.from(id.serial, 'hex') },
        ...{ now: clock(), sources },
      });
      if (typeof found !== 'string') {
        store.put(id, found);
        return undefined;
      }
      why = found;
    }
    return why;
  }

  return {
    name: 'ocsp',
    statusOf(id) {
      followed?.()?.want(id);
      const answer = store.get(id);
      return answer && answerStatus(answer, steady.now());
    },
    gapOf(id) {
      const following = followed?.();
      if (!following?.answersFor(id.issuerKeyId)) return undefined;
      const fault = following.faultOf(id);
      if (fault === undefined) return { gap: 'unknown', why: 'its responder is being asked' };
      return { gap: following.faults.size > 0 ? 'unreachable' : 'unknown', why: fault };
    },
    offer(credential, stapled) {
      const [leaf] = credential.path;
      if (!leaf || stapled.length === 0) return undefined;
      if (stapled.length > MOST_STAPLED) return `more than ${MOST_STAPLED} answers are stapled`;
      const digest = stapled.map((der) => hash('sha256', der, 'base64')).join();
      if (taken.get(leaf) === digest) return undefined;
      const faults = stapled.map((der) => take(credential, der)).filter((why) => why !== undefined);
      if (faults.length === 0) taken.set(leaf, digest);
      return faults[0];
    },
  };
}

/** Whether it says anything of that number: signatures of others are not worth checking. */
function isAbout({ responses }: OcspResponse, { serial }: CredentialId): boolean {
  const number = Buffer.from(serial, 'hex');
  return responses.some(({ certId }) => Buffer.from(certId).subarray(-number.length).equals(number));
}
